//! Chinese.

use super::Words;
use crate::commands::demo::boxes::grouped;

pub(super) static WORDS: Words = Words {
    opening: |size| {
        format!(
            "\
一个任务打印 {} 字节。途中线路被切断十次，服务端的网络进程（前端）
被杀死两次。这一切此刻就在本机发生；每个字节都按它的位置核对。",
            grouped(size)
        )
    },
    cut: |number| format!("第 {number} 次切断"),
    killed: "杀死前端",
    at: |at| format!("于 {at} 字节处"),
    back: |pause, next| format!("{pause} 毫秒后恢复，下一字节 {next}"),
    again: "还没等到下一字节又断了",
    columns: ["应为", "实际"],
    rows: [
        "字节",
        "缺失字节",
        "重复字节",
        "错误字节",
        "切断线路",
        "杀死前端",
        "退出码",
        "校验和",
        "最长停顿",
    ],
    other: "不同",
    holds: "每个字节都到了，只到一次，各在其位；一点没丢。",
    fails: "这违背了 redial 的承诺，请报告给我们",
};
