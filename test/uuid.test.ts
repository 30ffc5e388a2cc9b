import { uuid } from "../src/uuid.ts";

describe("uuid", () => {
  it("has the form of version 4, and never comes twice", () => {
    const ids = Array.from({ length: 10_000 }, uuid);
    const form = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
    expect(ids.filter((id) => !form.test(id))).toEqual([]);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("has every digit in every place that is random", () => {
    const ids = Array.from({ length: 2_000 }, uuid);
    for (let place = 0; place < 36; place += 1) {
      const digits = new Set(ids.map((id) => id[place]));
      const most = place === 14 || [8, 13, 18, 23].includes(place) ? 1 : place === 19 ? 4 : 16;
      expect([place, digits.size]).toEqual([place, most]);
    }
  });
});
