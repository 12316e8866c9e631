// Distinguished names as text.
import { Der } from './der.js';

const kNames = { '2.5.4.3': 'CN', '2.5.4.6': 'C', '2.5.4.7': 'L', '2.5.4.8': 'ST', '2.5.4.10': 'O', '2.5.4.11': 'OU' };

// A name as RFC 4514 writes it: the last part first.
export function name_text(name) {
  const parts = Der.whole(name).items().map((set) => set.items(0x31).map((pair) => {
    const [oid, value] = pair.items(), id = oid.oid();
    return (kNames[id] ?? id) + '=' + new TextDecoder().decode(value.body).replace(/[,+"\\<>;]/g, '\\$&');
  }).join('+'));
  return parts.reverse().join(',');
}
