import type { Store } from '../../daemon/store/store.ts';
import { describeConversations } from './conversationContract.ts';
import { describeLists } from './listContract.ts';
import { describeRecords } from './recordContract.ts';
import { describeSessions } from './sessionContract.ts';

/** How a test gets a fresh, empty store; `now` is asked for the time. */
export type OpenStore = (now?: () => number) => Promise<Store>;

/** What every store promises: the same story of tests for each. `cleanup` runs after each test, when the store is closed. */
export function describeStore(name: string, open: OpenStore, cleanup: () => void): void {
  describe(`the store on ${name}`, () => {
    const opened: Store[] = [];
    const openAndKeep: OpenStore = async now => {
      const store = await open(now);
      opened.push(store);
      return store;
    };
    afterEach(async () => {
      for (const store of opened.splice(0)) await store.close();
      cleanup();
    });
    describeSessions(openAndKeep);
    describeConversations(openAndKeep);
    describeRecords(openAndKeep);
    describeLists(openAndKeep);
  });
}
