//! System calls without libc, for the child that shares our memory.
//!
//! Between clone and exec the child runs in the parent's address space. libc's
//! wrappers are not made for that: `setresuid` signals every thread it finds in
//! shared memory, and all of them write `errno`, which is the parent thread's.
//! Numbers and semantics: syscalls(2), clone(2).

use core::arch::asm;
use core::ffi::c_int;

#[cfg(not(all(
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!("redial-keeper starts processes by clone3: Linux on x86_64 or aarch64 only");

/// The `clone_args` of clone3(2), up to and including `cgroup` (Linux 5.7).
#[repr(C, align(8))]
#[derive(Default)]
pub(super) struct CloneArgs {
    pub(super) flags: u64,
    pub(super) pidfd: u64,
    pub(super) child_tid: u64,
    pub(super) parent_tid: u64,
    pub(super) exit_signal: u64,
    pub(super) stack: u64,
    pub(super) stack_size: u64,
    pub(super) tls: u64,
    pub(super) set_tid: u64,
    pub(super) set_tid_size: u64,
    pub(super) cgroup: u64,
}

/// Makes system call `number`; the error is the positive errno.
///
/// # Safety
/// The arguments must be what that call wants: pointers valid, descriptors ours.
#[inline(always)]
pub(super) unsafe fn call(number: libc::c_long, args: [usize; 6]) -> Result<usize, c_int> {
    let [a, b, c, d, e, f] = args;
    let result: isize;
    // SAFETY: the kernel's calling convention; the caller vouches for the meaning.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!("syscall", inlateout("rax") number as isize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _, options(nostack));
        #[cfg(target_arch = "aarch64")]
        asm!("svc 0", in("x8") number, inlateout("x0") a as isize => result,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e, in("x5") f, options(nostack));
    }
    outcome(result)
}

/// clone3(2): in the parent returns the child's pid; the child calls
/// `entry(argument)` on the stack that `args` names.
///
/// # Safety
/// `args` must name a stack that nobody else uses, with `CLONE_VFORK` set, so that
/// this thread sleeps until the child has let go of our memory; `argument` must
/// be valid for that long, and `entry` must keep to raw system calls.
pub(super) unsafe fn clone3(
    args: &CloneArgs,
    entry: extern "C" fn(*mut u8) -> !,
    argument: *mut u8,
) -> Result<c_int, c_int> {
    let result: isize;
    // SAFETY: in the parent an ordinary system call (the registers the kernel
    // changes are named); the child never leaves `entry`, and the stack it starts
    // on is page aligned, as a call needs.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!("syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r9",
            "call r8",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 as isize => result,
            in("rdi") args as *const CloneArgs, in("rsi") size_of::<CloneArgs>(),
            in("r8") entry, in("r9") argument,
            lateout("rcx") _, lateout("r11") _, options(nostack));
        #[cfg(target_arch = "aarch64")]
        asm!("svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x30, xzr",
            "mov x0, x3",
            "blr x2",
            "brk 1",
            "2:",
            in("x8") libc::SYS_clone3,
            inlateout("x0") args as *const CloneArgs as isize => result,
            in("x1") size_of::<CloneArgs>(), in("x2") entry, in("x3") argument,
            options(nostack));
    }
    outcome(result).map(|pid| pid as c_int)
}

#[inline(always)]
fn outcome(result: isize) -> Result<usize, c_int> {
    if (-4095..0).contains(&result) {
        Err(result.wrapping_neg() as c_int)
    } else {
        Ok(result as usize)
    }
}
