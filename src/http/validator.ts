import type { Static, TSchema } from "@sinclair/typebox";
import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";

/** Something wrong with a body. */
export interface BodyProblem {
  /** The name at its top, empty for the body itself. */
  readonly field: string;
  /** A sentence that names the field and holds no value. */
  readonly sentence: string;
}

/** The value, known to be what its schema says, or all that is wrong with it. */
export type Validated<Value> = { readonly value: Value } | { readonly problems: readonly BodyProblem[] };

const ajv = new Ajv({
  meta: false,
  validateSchema: false,
  allErrors: true,
  strict: true,
  allowUnionTypes: true,
  ownProperties: true,
});

/**
 * Compiles a schema once; the same object describes the body to the world (OpenAPI). Fields that it does not name are
 * ignored. The caller has bounded the body.
 */
export function bodyValidator<Schema extends TSchema>(
  schema: Schema,
): (body: unknown) => Validated<Static<Schema>> {
  let compiled: ValidateFunction<Static<Schema>> | undefined;
  return (body) => {
    // With the first body: most gateways have no such door.
    const isValid = (compiled ??= ajv.compile<Static<Schema>>(schema));
    if (isValid(body)) return { value: body };
    const problems = new Map<string, BodyProblem>();
    for (const error of isValid.errors ?? []) {
      const problem = problemOf(error);
      // One sentence a field: what is of the wrong type has no right length either.
      if (!problems.has(problem.field)) problems.set(problem.field, problem);
    }
    return { problems: [...problems.values()] };
  };
}

function problemOf({ instancePath, keyword, params, message }: ErrorObject): BodyProblem {
  const top = instancePath.split("/")[1]?.replaceAll("~1", "/").replaceAll("~0", "~") ?? "";
  const { missingProperty, type, allowedValues, limit } = params as Readonly<Record<string, unknown>>;
  if (keyword === "required" && top === "") {
    const field = String(missingProperty);
    return { field, sentence: `${field} is missing` };
  }
  const what = top === "" ? "the body" : top;
  switch (keyword) {
    case "type":
      return { field: top, sentence: `${what} must be of type ${String(type)}` };
    case "enum":
      return { field: top, sentence: `${what} must be one of ${(allowedValues as unknown[]).join(", ")}` };
    case "maxLength":
      return { field: top, sentence: `${what} must have at most ${String(limit)} characters` };
    case "minLength":
      return { field: top, sentence: `${what} must have at least ${String(limit)} characters` };
    case "pattern":
      return { field: top, sentence: `${what} has not the form that it must have` };
    default:
      return { field: top, sentence: `${what} ${message ?? "is not valid"}` };
  }
}
