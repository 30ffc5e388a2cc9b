import { AddressGuard } from "../../src/upstream/address-guard.ts";
import { forbiddenV4, forbiddenV6, publicAddresses } from "./ssrf-vectors.ts";

describe("the address guard", () => {
  const guard = new AddressGuard([], () => []);

  it.each([...forbiddenV4, ...forbiddenV6])("keeps away from %s", (address) => {
    expect(guard.isAllowed(address)).toBe(false);
  });

  it.each(forbiddenV4)("keeps away from %s in every IPv6 form that carries it", (address) => {
    const [a = 0, b = 0, c = 0, d = 0] = address.split(".").map(Number);
    const high = ((a << 8) | b).toString(16);
    const low = ((c << 8) | d).toString(16);
    const forms = [
      `::ffff:${address}`,
      `::ffff:${high}:${low}`,
      `64:ff9b::${address}`,
      `2002:${high}:${low}::1`,
    ];
    expect(forms.filter((form) => guard.isAllowed(form))).toEqual([]);
  });

  it.each(publicAddresses)("lets %s through", (address) => {
    expect(guard.isAllowed(address)).toBe(true);
  });

  it.each([
    "",
    "localhost",
    "1.2.3",
    "1.2.3.4.5",
    "0x7f000001",
    "fe80::1%eth0",
    "2000::1%1",
    "::g",
    "8.8.8.8/8",
  ])("takes %j for no address", (text) => {
    expect(guard.isAllowed(text)).toBe(false);
  });

  it("lets through what the operator lists, in whatever form it comes, and nothing beside it", () => {
    const lists = new AddressGuard(
      ["10.1.0.0/16", "fd00:1::/32", "192.168.1.7/32", "172.16.0.0/13"],
      () => [],
    );
    for (const address of [
      "10.1.0.0",
      "10.1.255.255",
      "::ffff:10.1.2.3",
      "fd00:1::5",
      "192.168.1.7",
      "172.23.0.1",
    ]) {
      expect([address, lists.isAllowed(address), lists.isListed(address)]).toEqual([address, true, true]);
    }
    for (const address of ["10.2.0.0", "10.0.255.255", "fd00:2::5", "192.168.1.8", "172.24.0.1"]) {
      expect([address, lists.isAllowed(address)]).toEqual([address, false]);
    }
    expect(lists.isListed("8.8.8.8")).toBe(false);
  });

  it("a list of everything is what it says", () => {
    const all = new AddressGuard(["0.0.0.0/0", "::/0"], () => []);
    expect([...forbiddenV4, ...forbiddenV6].filter((address) => !all.isAllowed(address))).toEqual([]);
  });

  it("keeps away from this machine's own public addresses, unless they are listed", () => {
    const own = (): readonly string[] => ["8.8.4.4", "2606:4700::5", "fe80::1%eth0"];
    const guarded = new AddressGuard([], own);
    expect(["8.8.4.4", "2606:4700::5", "::ffff:8.8.4.4"].filter((each) => guarded.isAllowed(each))).toEqual(
      [],
    );
    expect(guarded.isAllowed("8.8.4.5")).toBe(true);
    expect(new AddressGuard(["8.8.4.4/32"], own).isAllowed("8.8.4.4")).toBe(true);
  });
});
