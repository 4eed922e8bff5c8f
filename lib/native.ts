// The native addon, loaded once and typed by the declarations that `napi build` writes.
import type * as Addon from '../native.js';
import { loadAddon } from './native-loading/load-addon.js';

/**
 * The native addon.
 *
 * Importing this module throws a `NativeLoadError` (`code: 'ERR_NATIVE_LOAD'`) when no binary for this platform can
 * be loaded.
 */
export const native = loadAddon() as typeof Addon;
