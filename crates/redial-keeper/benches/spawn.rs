//! What a start costs, and that neither open descriptors nor memory make it dearer.
//!
//! `cargo bench -p redial-keeper --bench spawn`. Every case is measured in turn,
//! round after round, so that a busy machine disturbs all of them alike; the table
//! shows medians over the rounds. The child is a program of a few instructions,
//! for `/bin/true` spends most of its time in the dynamic linker. The last column
//! of each case is std's `Command` (posix_spawn) doing the same.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use redial_keeper::account::Account;
use redial_keeper::spawn::{Program, SpawnRequest, Spawner, raise_descriptor_limit};
use rustix::process::{WaitId, WaitIdOptions, waitid};

const ROUNDS: usize = 15;
const SPAWNS_PER_ROUND: u32 = 40;
const GIB: usize = 1 << 30;

struct Case {
    name: &'static str,
    descriptors: usize,
    resident_bytes: usize,
    ours: Vec<Cost>,
    std: Vec<Cost>,
}

#[derive(Clone, Copy)]
struct Cost {
    wall_us: f64,
    cpu_us: f64,
}

fn main() {
    // `cargo test --all-targets` runs this too, and means only that it should build.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    // Before anything else is opened: its descriptors are to be low.
    let mut spawner = Spawner::new().expect("descriptors and memory");
    let limit = raise_descriptor_limit().expect("up to the hard limit");
    let directory = tempfile::tempdir().expect("a directory");
    let small = directory.path().join("smallest");
    write_smallest_program(&small);
    let account = Arc::new(Account::own().expect("passwd can be read"));

    for program in [small.as_path(), Path::new("/bin/true")] {
        let path = program.to_str().expect("text");
        let argv = Program::Argv(vec![path.as_bytes().to_vec()]);
        let request = SpawnRequest {
            cwd: Some(b"/".to_vec()),
            ..SpawnRequest::new(argv, account.clone())
        };
        let mut cases = cases(limit);
        for _ in 0..ROUNDS {
            for case in &mut cases {
                let _descriptors = open_descriptors(case.descriptors);
                let _memory = resident(case.resident_bytes);
                case.ours
                    .push(measure(|| spawn_and_wait(&mut spawner, &request)));
                case.std.push(measure(|| std_spawn_and_wait(path)));
            }
        }
        print_table(path, &cases);
    }
}

fn cases(limit: u64) -> Vec<Case> {
    let case = |name, descriptors, resident_bytes| {
        let (ours, std) = Default::default();
        Case {
            name,
            descriptors,
            resident_bytes,
            ours,
            std,
        }
    };
    let mut cases = vec![
        case("nothing else open", 0, 0),
        case("1,000 descriptors", 1_000, 0),
        case("4,000 descriptors", 4_000, 0),
        case("16,000 descriptors", 16_000, 0),
        case("1 GiB resident", 0, GIB),
    ];
    cases.retain(|case| {
        let fits = (case.descriptors as u64) + 100 < limit;
        if !fits {
            println!("skipped: {} (the limit is {limit})", case.name);
        }
        fits
    });
    cases
}

fn spawn_and_wait(spawner: &mut Spawner, request: &SpawnRequest) {
    let spawned = spawner.spawn(request).expect("it starts");
    let status = waitid(WaitId::PidFd(spawned.pidfd.as_fd()), WaitIdOptions::EXITED);
    let status = status.expect("a child of ours").expect("it has ended");
    assert_eq!(status.exit_status(), Some(0));
}

fn std_spawn_and_wait(path: &str) {
    let mut command = Command::new(path);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    assert!(child.wait().expect("a child of ours").success());
}

fn measure(mut once: impl FnMut()) -> Cost {
    let (wall, cpu) = (Instant::now(), cpu_time());
    for _ in 0..SPAWNS_PER_ROUND {
        once();
    }
    let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(SPAWNS_PER_ROUND);
    Cost {
        wall_us: each(wall.elapsed()),
        cpu_us: each(cpu_time() - cpu),
    }
}

/// User and system time, ours and that of the children waited for.
fn cpu_time() -> Duration {
    let time = |who| {
        // SAFETY: a C struct of integers; zero is valid.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: `usage` is a live local.
        assert_eq!(unsafe { libc::getrusage(who, &mut usage) }, 0);
        [usage.ru_utime, usage.ru_stime].map(|time| {
            let (seconds, micros) = (time.tv_sec.cast_unsigned(), time.tv_usec.cast_unsigned());
            Duration::from_secs(seconds) + Duration::from_micros(micros)
        })
    };
    [time(libc::RUSAGE_SELF), time(libc::RUSAGE_CHILDREN)]
        .as_flattened()
        .iter()
        .sum()
}

fn open_descriptors(count: usize) -> Vec<File> {
    let null = File::open("/dev/null").expect("/dev/null");
    (0..count)
        .map(|_| null.try_clone().expect("under the limit"))
        .collect()
}

/// Memory that is touched, page by page.
fn resident(bytes: usize) -> Vec<u8> {
    vec![1; bytes]
}

fn print_table(program: &str, cases: &[Case]) {
    let base = cases[0].median(|cost| cost.cpu_us, &cases[0].ours);
    println!("\n{program}: µs per start and wait, three pipes; {ROUNDS} × {SPAWNS_PER_ROUND}");
    println!(
        "{:20} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "", "wall", "CPU", "ratio", "std wall", "std CPU"
    );
    for case in cases {
        let cpu = case.median(|cost| cost.cpu_us, &case.ours);
        println!(
            "{:20} {:9.0} {cpu:9.0} {:9.2} {:9.0} {:9.0}",
            case.name,
            case.median(|cost| cost.wall_us, &case.ours),
            cpu / base,
            case.median(|cost| cost.wall_us, &case.std),
            case.median(|cost| cost.cpu_us, &case.std),
        );
    }
}

impl Case {
    fn median(&self, of: impl Fn(&Cost) -> f64, costs: &[Cost]) -> f64 {
        let mut values: Vec<f64> = costs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }
}

/// An ELF file whose only code is `exit_group(0)` (elf(5)).
fn write_smallest_program(path: &Path) {
    const HEADERS_BYTES: u64 = 64 + 56;
    const BASE: u64 = 0x40_0000;
    let (machine, code): (u16, &[u8]) = if cfg!(target_arch = "x86_64") {
        (62, b"\x31\xff\xb8\xe7\0\0\0\x0f\x05")
    } else {
        (183, b"\x00\x00\x80\xd2\xc8\x0b\x80\xd2\x01\x00\x00\xd4")
    };
    let length = HEADERS_BYTES + code.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0".to_vec();
    elf.extend(machine.to_le_bytes());
    elf.extend(1_u32.to_le_bytes());
    for field in [BASE + HEADERS_BYTES, 64, 0] {
        elf.extend(field.to_le_bytes());
    }
    elf.extend(0_u32.to_le_bytes());
    for field in [64_u16, 56, 1, 0, 0, 0] {
        elf.extend(field.to_le_bytes());
    }
    // One segment to load, readable and executable: the whole file.
    for field in [1_u32, 5] {
        elf.extend(field.to_le_bytes());
    }
    for field in [0, BASE, BASE, length, length, 0x1000] {
        elf.extend(field.to_le_bytes());
    }
    elf.extend(code);
    std::fs::write(path, elf).expect("a file");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("mode");
}
