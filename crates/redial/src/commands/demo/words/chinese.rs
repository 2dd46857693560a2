//! Chinese.

use redial_classic::demo::{Scene, Tally};

use super::Words;
use crate::commands::demo::boxes::grouped;

pub(super) static WORDS: Words = Words {
    opening: "\
粘包：一条消息到哪里算完？下面每个方框代表一次调用，框顶的数字是字节数。
这一切都是此刻在真实的套接字上发生的，没有一处是预先写好的。",
    send: "发送",
    recv: "接收",
    message: "还原",
    left: "没收下",
    scene,
    verdict,
};

fn scene(scene: Scene) -> (&'static str, &'static str) {
    match scene {
        Scene::Glued => (
            "TCP：连发五条消息",
            "调用五次 send。接收方这时在忙别的，忙完才调用 recv(1024)。",
        ),
        Scene::Pieces => (
            "TCP：一条大消息",
            "一次 send 发出 200,000 字节；接收方每次 recv 都留足 200,000 字节的空间。\n\
             （内核的缓冲区事先调小了，这样几个方框就能看清楚。）",
        ),
        Scene::FramedGlued => (
            "TCP 加报头：还是那五条",
            "每条消息前面加四个字节，写明它有多长（struct 的 '>I'，图中用十六进制表示）。",
        ),
        Scene::FramedPieces => (
            "TCP 加报头：还是那条大消息",
            "报头写着 200,000（十六进制 30d40），接收方由此知道收到哪里才算收齐。",
        ),
        Scene::Datagrams => (
            "UDP：还是那五条",
            "不加报头。一次 send 就是一个数据报，一次 recv 取走一个。",
        ),
        Scene::ShortDatagrams => (
            "UDP，但空间不够：recv(4)",
            "同样的数据报，接收方每次却只留四个字节的空间。",
        ),
        Scene::PartialSend => (
            "TCP：send 只收下放得下的部分",
            "在非阻塞套接字上 send 200,000 字节，对方一直不读，直到内核再也收不下。",
        ),
        Scene::SendAll => (
            "TCP：sendall，也就是循环调用 send",
            "还是那 200,000 字节：剩下多少就再 send 多少，对方同时在读。",
        ),
    }
}

fn verdict(scene: Scene, tally: &Tally) -> String {
    let (sends, receives) = (tally.sends, tally.receives);
    match scene {
        Scene::Glued if tally.boundaries_kept => "\
这次碰巧一条归一条。TCP 只保证字节的先后顺序，从不保证消息的边界。"
            .to_owned(),
        Scene::Glued => format!(
            "\
{sends} 次 send，{receives} 次 recv 就全部取走，粘在了一起。字节一个没少，
但再也看不出哪条消息到哪里结束、下一条从哪里开始。"
        ),
        Scene::Pieces if receives == 1 => "\
这次碰巧一次就收齐了。recv 等的是第一个字节，不是最后一个。"
            .to_owned(),
        Scene::Pieces => format!(
            "\
用了 {receives} 次 recv：每次只给出眼下已经到达的部分，不会等后面的。
只调用一次 recv 的程序，拿到的就是半截消息。"
        ),
        Scene::FramedGlued | Scene::FramedPieces if tally.messages_kept => format!(
            "\
recv 仍旧不管消息的边界（共 {receives} 次），但按报头拆出的 {} 条消息与发出时一模一样。
这就是粘包的解法。",
            tally.messages
        ),
        Scene::FramedGlued | Scene::FramedPieces => {
            "出了问题：还原出的消息与发送的不一致。".to_owned()
        }
        Scene::Datagrams if receives < sends => format!(
            "\
发出 {sends} 个数据报，收到 {receives} 个：没有粘连，但有数据报丢了。
UDP 保住边界，却不保证送达。"
        ),
        Scene::Datagrams => {
            format!("{sends} 次 send，{receives} 次 recv，没有粘连：一个数据报就是一条消息。")
        }
        Scene::ShortDatagrams if receives < sends => "\
放不下的部分就此丢弃，下一次 recv 拿到的是下一个数据报；这回还有数据报没送到。"
            .to_owned(),
        Scene::ShortDatagrams => "\
放不下的部分就此丢弃：下一次 recv 拿到的是下一个数据报，而不是这一个的后半截。
第三条更是从一个汉字的中间被切断了。"
            .to_owned(),
        Scene::PartialSend => partial(tally),
        Scene::SendAll => format!(
            "\
send 成功 {sends} 次，另有 {} 次因为要等待而一个字节也没收下；{} 字节全部到达。
Python 的 sendall、Rust 的 write_all 替你做的就是这件事。",
            tally.would_block,
            grouped(tally.bytes_received)
        ),
    }
}

fn partial(tally: &Tally) -> String {
    let (asked, taken) = tally.first;
    if taken == asked {
        return "\
这次碰巧全部收下了：内核的缓冲区够大。
send 的返回值说明收下了多少，程序必须去看。"
            .to_owned();
    }
    format!(
        "\
第一次 send 只收下 {} 字节（共 {} 字节），并在返回值里如实说明。
不看返回值的程序会漏掉剩下的部分：那些字节根本没有发出去。",
        grouped(taken),
        grouped(asked)
    )
}
