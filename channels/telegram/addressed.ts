/** Whether something said in a group is meant for us: it names us, is a command to us, or answers us. */
import type { Message, MessageEntity } from 'grammy/types'

/** Who we are on Telegram. */
export interface Bot {
  readonly id: number
  readonly username: string
}

export function isAddressed(message: Message, bot: Bot): boolean {
  const { text, entities, caption, caption_entities: captionEntities } = message
  return answers(message, bot) || names(text ?? '', entities ?? [], bot) || names(caption ?? '', captionEntities ?? [], bot)
}

/** In a topic every message answers the one that began it, whoever did. */
function answers({ reply_to_message: answered }: Message, { id }: Bot): boolean {
  return answered?.from?.id === id && answered.forum_topic_created === undefined
}

/** Offsets are UTF-16 units, as they are here. */
function names(text: string, entities: readonly MessageEntity[], { id, username }: Bot): boolean {
  const ours = `@${username.toLowerCase()}`
  return entities.some((entity) => {
    const words = text.slice(entity.offset, entity.offset + entity.length).toLowerCase()
    if (entity.type === 'text_mention') return entity.user.id === id
    return entity.type === 'mention' ? words === ours : entity.type === 'bot_command' && words.endsWith(ours)
  })
}
