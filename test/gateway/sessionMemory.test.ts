import assert from 'node:assert/strict';
import { SessionMemory } from '../../daemon/gateway/sessionMemory.ts';
import type { SessionSource, Usable } from '../../daemon/gateway/sessions.ts';

const caller = { client: 'c', workspace: null };
const conversation = { client: 'c', conversation_id: 'one' };

/** A source that answers when the test says so. */
class SlowSource implements SessionSource {
  asked = 0;
  tell: Parameters<SessionSource['onChanged']>[0] = () => {};
  readonly #answers: (() => void)[] = [];

  useExplicit(session_id: string): Promise<Usable> {
    return this.#answer({ session_id, expires: false });
  }

  resolveConversation(): Promise<{ session_id: string; bound: boolean }> {
    return this.#answer({ session_id: 'joined', bound: false });
  }

  onChanged(listener: Parameters<SessionSource['onChanged']>[0]): () => void {
    this.tell = listener;
    return () => {};
  }

  answer(): void {
    for (const answer of this.#answers.splice(0)) answer();
  }

  #answer<T>(value: T): Promise<T> {
    this.asked += 1;
    return new Promise(resolve => this.#answers.push(() => resolve(value)));
  }
}

describe('the memory of sessions', () => {
  it('gives calls that begin together the same session, the one that the store says', async () => {
    const source = new SlowSource();
    const memory = new SessionMemory(source, 5_000);
    const calls = [1, 2, 3].map(() => memory.forConversation(conversation, 'inferred', caller));
    source.answer();
    const resolved = await Promise.all(calls);
    assert.deepEqual(
      resolved.map(each => [each.session_id, each.provisional]),
      [1, 2, 3].map(() => ['joined', false]),
    );
    assert.equal(source.asked, 1);
  });

  it('waits for a store that does not answer once, not at each call', async () => {
    const memory = new SessionMemory(new SlowSource(), 20);
    const first = await memory.forConversation(conversation, 'inferred', caller);
    const second = memory.forConversation(conversation, 'inferred', caller);
    assert.ok(!(second instanceof Promise));
    assert.deepEqual([second.session_id, second.provisional], [first.session_id, true]);
  });

  it('asks again for a session that changed while the answer was on its way', async () => {
    const source = new SlowSource();
    const memory = new SessionMemory(source, 5_000);
    const first = memory.forExplicit('ends', caller);
    source.answer();
    source.tell({ session_id: 'ends' });
    await first;
    void memory.forExplicit('ends', caller);
    assert.equal(source.asked, 2);
  });
});
