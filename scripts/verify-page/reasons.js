// Reasons why a bundle is not complete, in Japanese: the report has them in English, the page shows them to its reader.
const kLevelWords = { proven: '証明', attested: '証言', recorded: '記録', asserted: '申告', absent: '根拠なし' };
const kReasons = [
  [/^the signer of the certificate is not identified: the certificate of (.*) was revoked at (\S+)$/, (m) => '証明書の署名者が特定されていない：' + m[1] + ' の証明書は ' + m[2] + ' に失効している'],
  [/^the signer of the certificate is not identified/, () => '証明書の署名者が特定されていない：信頼ファイルに該当する行がない'],
  [/^the ledger's key is not identified/, () => '台帳の鍵が特定されていない：信頼ファイルに該当する log 行がない'],
  [/^the officers who signed are not identified/, () => '署名した責任者が特定されていない：信頼ファイルに、署名の種別と時点に対応する鍵がそろっていない'],
  [/^the certificate was withdrawn/, () => '証明書は撤回されている'],
  [/^(\S+) is (\w+); profile (\w+) asks for (\w+)$/, (m, titles) => '「' + (titles.get(m[1]) ?? m[1]) + '」は「' + kLevelWords[m[2]] + '」にとどまる。プロファイル ' + m[3] + ' は「' + kLevelWords[m[4]] + '」を求める'],
  [/^approved by a quorum of (\d+); profile (\w+) asks for (\d+)$/, (m) => '承認者は ' + m[1] + ' 名。プロファイル ' + m[2] + ' は ' + m[3] + ' 名を求める'],
  [/^waiting period of (\d+) seconds?; profile (\w+) asks for (\d+)$/, (m) => '待機期間は ' + m[1] + ' 秒。プロファイル ' + m[2] + ' は ' + m[3] + ' 秒を求める'],
  [/^(\d+) of the (\d+) witnesses that the rules ask for signed, so none counts; profile (\w+) asks for (\d+)$/, (m) => '規則が求める立会者 ' + m[2] + ' 者のうち署名したのは ' + m[1] + ' 者で、いずれも算入されない。プロファイル ' + m[3] + ' は ' + m[4] + ' 者を求める'],
  [/^(\d+) trusted witness(?:es)?; profile (\w+) asks for (\d+)$/, (m) => '信頼する立会者は ' + m[1] + ' 者。プロファイル ' + m[2] + ' は ' + m[3] + ' 者を求める'],
  [/^(\d+) trusted witness(?:es)?; the trust file asks for (\d+)$/, (m) => '信頼する立会者は ' + m[1] + ' 者。信頼ファイルは ' + m[2] + ' 者を求める'],
  [/^no restart of the machine is shown .*; profile (\w+) asks for it$/, (m) => '破棄から検査までの間の機器の再起動が示されていない。プロファイル ' + m[1] + ' はこれを求める'],
  [/^the rules in force at the request do not ask for signed commands; profile (\w+) asks for them$/, (m) => '申請時の規則は、コマンドへの実行者の署名を求めていない。プロファイル ' + m[1] + ' はこれを求める'],
  [/^the payloads of (.*) are not bound to the inventory; profile (\w+) asks for it$/, (m) => m[1] + ' の内容はインベントリに結び付けられていない。プロファイル ' + m[2] + ' はこれを求める'],
  [/^TEST GRADE/, () => 'TEST GRADE：認証を受けていない提供元が鍵を保持していた'],
  [/^whether the signer's certificate was revoked is not shown: (.*); profile (\w+) asks for it$/, (m) => '署名者の証明書の失効の有無が示されていない（' + m[1] + '）。プロファイル ' + m[2] + ' はこれを求める'],
  [/^whether the authority of the time-stamp over (\S+) was revoked is not shown: (.*); profile (\w+) asks for it$/, (m) => m[1] + ' のタイムスタンプ局の失効の有無が示されていない（' + m[2] + '）。プロファイル ' + m[3] + ' はこれを求める'],
  [/^the time-stamp over (\S+) is of (.*) and does not count: not of the rules/, (m) => m[1] + ' のタイムスタンプ（' + m[2] + '）は算入されない：申請時の規則が定める時刻認証局のものではない'],
  [/^the time-stamp over (\S+) is of (.*) and does not count: (.*)$/, (m) => m[1] + ' のタイムスタンプ（' + m[2] + '）は算入されない：' + m[3]],
  [/^(.*): (not-covered|cannot-say|header-covered)$/s, (m) => m[1] + '：' + { 'not-covered': '対象に含まれない', 'cannot-say': '判定できない', 'header-covered': 'ヘッダーのみ対象' }[m[2]]],
];

// `titles`: claim → its title in Japanese. What is not known stays as it is.
export function reason_in_japanese(text, titles) {
  for (const [form, say] of kReasons) {
    const m = form.exec(text);
    if (m) return say(m, titles);
  }
  return text;
}
