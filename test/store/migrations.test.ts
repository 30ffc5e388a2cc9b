import { migrations, pendingMigrations } from "../../src/store/migrations.ts";
import type { Migration } from "../../src/store/migrations.ts";

describe("migrations", () => {
  const step = (name: string): Migration => ({ name, sqlite: "", postgres: "" });
  const list = [step("one"), step("two"), step("three")];

  it.each([
    [0, ["one", "two", "three"]],
    [2, ["three"]],
    [3, []],
  ])("a database with schema %i lacks %j", (schema, expected) => {
    expect(pendingMigrations(schema, list).map(({ name }) => name)).toEqual(expected);
  });

  it("refuses a database that is newer than the code", () => {
    expect(() => pendingMigrations(migrations.length + 1)).toThrow(
      expect.objectContaining({ name: "StoreError", code: "too-new" }),
    );
  });
});
