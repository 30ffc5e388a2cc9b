/**
 * Node's flags for a thread of ours. A permission model that the process was started with (`--permission`, as in the
 * image) is inherited only by a thread that is given no flags; so it is passed on.
 */
export const threadFlags: readonly string[] = [
  ...process.execArgv.filter((flag) => /^--(?:permission$|allow-)/.test(flag)),
  "--disable-warning=ExperimentalWarning",
  "--disable-warning=PERM0006",
];
