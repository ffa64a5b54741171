/** The key that stands for WhatsApp's root certificate in tests, in this process and in the gateway's. It is nobody's secret. */
import { WA_CERT_DETAILS } from 'baileys'
import type { KeyPair } from 'baileys'

export const root: KeyPair = {
  private: Buffer.from('2043a8529292bba732bffd816e0b75756dafb16f0c0abeaf96b51ec39da39161', 'hex'),
  public: Buffer.from('f581552678b116eff2a95acd2307d9cdd1b749d1091c27d7433d8f83004f9a77', 'hex'),
}

/** From now on this process takes servers that show its certificates for WhatsApp. */
export function trustRoot(): void {
  WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(root.public)
}
