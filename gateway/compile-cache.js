/**
 * Keeps compiled code for the next start: half of a cold start, and 15 MB, go into stripping types and compiling. Kept beside the
 * installed packages, where only who may change the program can write; where nobody can, starting is slower and
 * nothing else. Plain JavaScript, so that `npm start` can load it before the first line of TypeScript.
 */
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'

enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/openclaw', import.meta.url)))
