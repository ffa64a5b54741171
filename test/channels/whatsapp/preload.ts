/** What the gateway process of the channel suite imports first: no setting of the product leads to another root of trust. */
import { trustRoot } from './root.ts'

trustRoot()
