import type { AppGuard } from "../core/guard.ts";
import type { AnswerElsewhere } from "../core/threads.ts";
import { countTaken } from "./forwarded-log.ts";
import type { Handlers } from "./line.ts";
import type { LineCounts, ToFirst, ToThread } from "./messages.ts";
import type { ThreadInside } from "./part.ts";

/** What the first thread answers one of the others from. */
export interface FirstAnswers {
  readonly inside: ThreadInside;
  /** Of that thread's log lines. */
  readonly counts: LineCounts;
  readonly ready: () => void;
  readonly refused: (reason: string) => void;
  /** Asks a thread that is not the first. */
  readonly answerOf: (
    thread: number,
    question: ToThread["answerFor"][0],
  ) => Promise<AnswerElsewhere | undefined> | undefined;
  readonly handBack: (id: string, token: number) => Promise<boolean>;
}

/** What another thread may ask and tell the first one. */
export function answersOfFirst(options: FirstAnswers): Handlers<ToFirst> {
  const { answerOf, counts, handBack, inside, ready, refused } = options;
  const guardOf = (app: string, fingerprint: string): AppGuard | undefined => {
    const served = inside.apps().get(app);
    return served?.pushkin.fingerprint === fingerprint ? served.guard : undefined;
  };
  return {
    ready: () => (ready(), null),
    refused: (reason) => (refused(reason), null),
    lines: (lines) => {
      countTaken(counts, lines.length);
      for (const [level, message, fields] of lines) inside.log[level](message, fields);
      return null;
    },
    board: ({ alarms, standings }) => {
      for (const [app, what] of standings) inside.board.note(app, what);
      for (const alarm of alarms) inside.board.raise(alarm);
      return null;
    },
    judge: ({ app, device, fingerprint }) => guardOf(app, fingerprint)?.judge(device),
    judgeMalformed: ({ app, device, fingerprint }) => guardOf(app, fingerprint)?.judgeMalformed(device),
    judged: ({ app, fingerprint, notes }) => {
      const guard = guardOf(app, fingerprint);
      for (const [device, succeeded] of notes) {
        if (succeeded) guard?.succeeded(device);
        else guard?.sawCertainRejection(device);
      }
      return null;
    },
    answerFrom: ({ key, thread, withinMs }) =>
      thread === 0 ? inside.engine.answerFor(key, withinMs) : answerOf(thread, { key, withinMs }),
    handBack: ({ id, token }) => handBack(id, token),
  };
}
