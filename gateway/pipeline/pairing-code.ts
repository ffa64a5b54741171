/** Codes that a person reads from one screen and types at another: eight characters, none that looks like another. */
import { randomInt } from 'node:crypto'

/** Without 0 and O, 1, I and L. */
const ALPHABET = '23456789ABCDEFGHJKMNPQRSTUVWXYZ'
const LENGTH = 8

export const newPairingCode = (): string => Array.from({ length: LENGTH }, () => ALPHABET.charAt(randomInt(ALPHABET.length))).join('')

/** As it may be typed: small letters, a dash or blanks between. */
export const readPairingCode = (typed: string): string => typed.replaceAll(/[\s-]/g, '').toUpperCase()
