// Connection URIs: the database that one names, and the file of a SQLite one; and one without its password.
import { configError } from '../errors.js';

/** Scheme, authority and path together, and the query with its question mark. */
const URI = /^([a-z][a-z0-9+.-]*:\/\/)([^?#]*)(\?[^#]*)?/i;

/**
 * The URI of another database on the same server.
 *
 * @throws {ReplicaverseError} of kind `Config` when the text is neither a URI nor a list of `name=value` pairs. The message
 * does not hold it.
 */
export function uriOfDatabase(uri: string, database: string): string {
  const match = URI.exec(uri);
  if (match === null) return pairsOfDatabase(uri, database);
  const [, scheme = '', place = '', query = ''] = match;
  const { authority, path } = divided(place);
  const options = query.slice(1).split('&').filter((option) => option !== '' && !option.startsWith('dbname='));
  // Without another setting, MongoDB looks an account up in the database of the URI, which now changes.
  const losesAuthSource = /^mongodb/i.test(scheme) && authority.includes('@') && path !== '';
  if (losesAuthSource && !options.some((option) => option.toLowerCase().startsWith('authsource='))) {
    options.push(`authSource=${path}`);
  }
  return `${scheme}${authority}/${encodeURIComponent(database)}${options.length === 0 ? '' : `?${options.join('&')}`}`;
}

/** A password that was not percent-encoded may hold a slash, so that the path begins after the last `@`. */
function divided(place: string): { authority: string; path: string } {
  const slash = place.indexOf('/', place.lastIndexOf('@') + 1);
  return slash < 0 ? { authority: place, path: '' } : { authority: place.slice(0, slash), path: place.slice(slash + 1) };
}

function pairsOfDatabase(text: string, database: string): string {
  if (!/^\s*\w+\s*=/.test(text)) throw configError('uri: expected a URI such as postgres://user@host/database');
  const value = `'${database.replace(/[\\']/g, '\\$&')}'`;
  const without = text.replace(/\bdbname\s*=\s*('(?:\\.|[^'\\])*'|\S+)/g, '').trim();
  return `${without} dbname=${value}`.trim();
}

/** The path of a SQLite database's file; `null` for one in memory. */
export function sqliteFile(uri: string): string | null {
  const rest = /^(?:sqlite|file):(.*)$/s.exec(uri)?.[1];
  if (rest === undefined) return uri === ':memory:' ? null : uri;
  const [beforeQuery = '', query = ''] = rest.split('?', 2);
  const path = decoded(beforeQuery.replace(/^\/\//, ''));
  if (path === ':memory:' || query.split('&').includes('mode=memory')) return null;
  // As URIs write the path of a Windows drive.
  return /^\/[a-z]:/i.test(path) ? path.slice(1) : path;
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw configError('uri: the path is not percent-encoded correctly');
  }
}

/** The URI with `***` in place of every password and session token. */
export function maskPassword(uri: string): string {
  const masked = uri.includes('://') ? withoutUserPassword(uri) : withoutPairPassword(uri);
  return masked.replace(/([?&][^=&]*?(?:password|authmechanismproperties)=)[^&#]*/gi, '$1***');
}

function withoutUserPassword(uri: string): string {
  const start = uri.indexOf('://') + 3;
  const authority = uri.slice(start).search(/[/?]/);
  const end = authority < 0 ? uri.length : start + authority;
  // A slash within a password that was not percent-encoded would end the authority too early; the last @ decides.
  const at = uri.lastIndexOf('@', uri.slice(start, end).includes('@') ? end : uri.length);
  const colon = uri.indexOf(':', start);
  return at < start || colon < 0 || colon > at ? uri : `${uri.slice(0, colon + 1)}***${uri.slice(at)}`;
}

function withoutPairPassword(text: string): string {
  return text.replace(/(password\s*=\s*)('(?:\\.|[^'\\])*'?|[^\s]*)/gi, '$1***');
}
