/** The part of the WebAssembly JavaScript API that is used here; TypeScript has it only together with all of a browser's DOM. */
declare namespace WebAssembly {
  interface Module {
    readonly [Symbol.toStringTag]: 'WebAssembly.Module'
  }
  class Memory {
    constructor(size: { readonly initial: number; readonly maximum?: number })
    readonly buffer: ArrayBuffer
  }
  function compile(bytes: Uint8Array): Promise<Module>
}
