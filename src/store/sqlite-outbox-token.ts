/** No entry is claimed this often: one claim a second would take twelve days, and none lives as long. */
const claimsPerEntry = 2 ** 20;

/**
 * The token of an entry's nth holder: greater with each claim, and never that of another entry that is there. It also
 * says where the entry stands, so that no index by its random id is needed, which would cost a page for every put.
 */
export function tokenOf(entry: number, claims: number): number {
  return entry * claimsPerEntry + claims;
}

/** What the token stands for. Of an entry that is gone it may say another's number: compare the id too. */
export function holderOf(token: number): { readonly entry: number; readonly claims: number } {
  return { entry: Math.floor(token / claimsPerEntry), claims: token % claimsPerEntry };
}
