import assert from 'node:assert/strict';
import {
  type CallerFacts,
  clientKey,
  conversationOf,
  environmentConversation,
} from '../../daemon/gateway/attribution.ts';

const facts: CallerFacts = { client: 'someone', environmentConversation: null, connection: null };

describe('the conversation of a call', () => {
  it('is what _meta names before the environment before the connection', () => {
    const all: CallerFacts = { ...facts, environmentConversation: 'env', connection: 'conn' };
    const found = (meta: Record<string, unknown> | undefined, of = all) => {
      const answer = conversationOf(meta, of);
      return answer === null ? null : [answer.attribution, answer.conversation.conversation_id];
    };
    assert.deepEqual(found({ 'vscode.conversationId': 'v' }), ['meta', 'v']);
    assert.deepEqual(found({ 'ai.opencode/sessionID': 'o' }), ['meta', 'o']);
    assert.deepEqual(found({ 'claudecode/sessionId': 'c' }), ['meta', 'c']);
    assert.deepEqual(found({ progressToken: 1 }), ['environment', 'env']);
    assert.deepEqual(found(undefined, { ...all, environmentConversation: null }), ['inferred', 'conn']);
    assert.equal(found(undefined, facts), null);
  });

  it('takes threadId and sessionId from Codex only', () => {
    assert.equal(conversationOf({ threadId: 't' }, facts), null);
    const codex = conversationOf({ threadId: 't', sessionId: 's' }, { ...facts, client: 'codex-mcp-client' });
    assert.deepEqual(codex?.conversation, { client: 'codex-mcp-client', conversation_id: 't' });
  });

  it('is named by no empty, overlong or non-string id', () => {
    for (const id of ['', 'x'.repeat(257), 7, null, {}]) {
      assert.equal(conversationOf({ 'vscode.conversationId': id }, facts), null);
    }
  });

  it('comes from the variables of the assistants that set one', () => {
    assert.equal(environmentConversation({ CLAUDE_CODE_SESSION_ID: 'a' }), 'a');
    assert.equal(environmentConversation({ COPILOT_AGENT_SESSION_ID: 'b' }), 'b');
    assert.equal(environmentConversation({ QWEN_CODE_SESSION_ID: 'c' }), 'c');
    assert.equal(environmentConversation({ CLAUDE_PROJECT_DIR: '/x' }), null);
  });

  it('counts every server name of Qwen Code as one client', () => {
    assert.equal(clientKey('qwen-cli-mcp-client-files'), clientKey('qwen-cli-mcp-client-git'));
  });
});
