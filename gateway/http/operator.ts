/** What only principals of the operator's tenant may: the refusal, the same wherever it is met. */
import { DeniedError } from '#contract'

export const operatorOnly = (): DeniedError =>
  new DeniedError('This is about the gateway as a whole, and for principals of its operator, the tenant `default`, alone.', {
    code: 'OPERATOR_ONLY',
    reason: 'forbidden',
  })
