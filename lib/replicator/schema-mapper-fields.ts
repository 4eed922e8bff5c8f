// What becomes of the fields of an entity between two dialects, field by field.
import type { FieldDef } from '../types/schema.js';
import type { DialectTraits } from './dialect-traits.js';

/** How much a finding matters: `ok` is handled, `warning` gives something up, `error` cannot be copied. */
export type CompatSeverity = 'ok' | 'warning' | 'error';

/** One finding. */
export interface CompatIssue {
  severity: CompatSeverity;
  /** The entity. */
  collection: string;
  /** The field or relation; none when the finding is of the whole entity. */
  field?: string;
  message: string;
}

/** A dialect with its name. */
export interface Side {
  readonly name: string;
  readonly traits: DialectTraits;
}

/** What a rule has to say of a field. */
type Finding = Pick<CompatIssue, 'severity' | 'message'>;

const FIELD_TYPES = ['string', 'text', 'number', 'boolean', 'date', 'json', 'array'];

/** Everything there is to say of one field. */
export function fieldFindings(definition: unknown, source: Side, target: Side): Finding[] {
  if (typeof definition !== 'object' || definition === null) return [error(`the field is declared as ${String(definition)}, not as an object`)];
  const { type } = definition as FieldDef;
  switch (type) {
    case 'string':
      return stringFindings(source, target);
    case 'number':
      return numberFindings(source, target);
    case 'date':
      return dateFindings(source, target);
    case 'json':
      return jsonFindings(source, target);
    case 'array':
      return arrayFindings(source, target);
    case 'text':
    case 'boolean':
      return [];
    default:
      return [error(`unknown field type ${typeof type === 'string' ? `"${String(type)}"` : `of ${typeof type}`}; known are ${FIELD_TYPES.join(', ')}`)];
  }
}

function stringFindings(source: Side, target: Side): Finding[] {
  const [from, to] = [source.traits.stringLimit, target.traits.stringLimit];
  if (to >= from) return [];
  return [warning(`String field may be truncated: ${source.name} (limit: ${shown(from)}) → ${target.name} (limit: ${shown(to)}); a longer text is refused, and reported`)];
}

function numberFindings(source: Side, target: Side): Finding[] {
  if (!source.traits.nonFiniteNumbers || target.traits.nonFiniteNumbers) return [];
  const lost = target.name === 'sqlite' ? 'NaN' : 'NaN, Infinity and -Infinity';
  return [ok(`Number field: ${lost} cannot be held by ${target.name} and become NULL, which is reported`)];
}

function dateFindings(source: Side, target: Side): Finding[] {
  const findings: Finding[] = [];
  const [from, to] = [source.traits.secondDigits, target.traits.secondDigits];
  if (to < from) findings.push(ok(`Date field: ${target.name} keeps ${to} digits of a second, ${source.name} ${from}; digits dropped are reported`));
  if (source.traits.anyYear && !target.traits.anyYear) {
    findings.push(ok(`Date field: ${target.name} holds the years 1 to 9999; a row with another date is refused, and reported`));
  }
  return findings;
}

function jsonFindings(source: Side, target: Side): Finding[] {
  if (target.traits.nativeJson || !source.traits.nativeJson) return [];
  return [warning(`JSON field stored as text on ${target.name} — native JSON queries unavailable`)];
}

function arrayFindings(source: Side, target: Side): Finding[] {
  if (target.traits.nativeArray || !source.traits.nativeArray) return [];
  return [warning(`Array field stored as JSON text on ${target.name} — no native array operations`)];
}

function shown(limit: number): string {
  return limit === Infinity ? 'unlimited' : String(limit);
}

function ok(message: string): Finding {
  return { severity: 'ok', message };
}

function warning(message: string): Finding {
  return { severity: 'warning', message };
}

function error(message: string): Finding {
  return { severity: 'error', message };
}
