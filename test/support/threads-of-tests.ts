/**
 * The `workers` of every gateway that the fault catalogue starts: the default, or what `SIGNALBOX_TEST_WORKERS` says, so
 * that every fault can be met by several threads too.
 */
export function threadsOfTests(): Readonly<Record<string, unknown>> {
  const workers = process.env["SIGNALBOX_TEST_WORKERS"];
  return workers === undefined ? {} : { workers: Number(workers) };
}
