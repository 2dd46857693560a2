//! Races on a paused clock, with addresses that nobody dials, and a few real dials.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::Mutex;

use super::*;

fn v4(last: u8) -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, last), 7334).into()
}

fn v6(last: u16) -> SocketAddr {
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last), 7334).into()
}

#[test]
fn families_take_turns_beginning_with_the_resolvers_first() {
    let found = vec![v6(1), v6(2), v6(3), v4(1), v4(2), v6(1)];
    assert_eq!(in_turns(found), [v6(1), v4(1), v6(2), v4(2), v6(3)]);
    assert_eq!(in_turns(vec![v4(1), v4(2)]), [v4(1), v4(2)]);
    assert_eq!(in_turns(vec![]), []);
}

#[test]
fn bound_to_an_address_only_its_family_is_tried() {
    let found = vec![v6(1), v4(1), v6(2)];
    let bind = Bind::Address(Ipv4Addr::LOCALHOST.into());
    assert_eq!(reachable(found.clone(), bind), [v4(1)]);
    assert_eq!(reachable(found, Bind::Any).len(), 3);
    assert_eq!(reachable(vec![v4(1); 100], Bind::Any).len(), MAX_ADDRESSES);
}

/// How an address behaves: it answers or fails after so many ms, or (0) never.
type Manners = HashMap<SocketAddr, (u64, bool)>;

/// Who won or failed, and when each was begun, in ms.
async fn run(
    addresses: &[SocketAddr],
    manners: &Manners,
    limit: Duration,
) -> (Result<SocketAddr, Ended>, Vec<(SocketAddr, u64)>) {
    let begin = Instant::now();
    let begun = Mutex::new(Vec::new());
    let attempt = async |to: SocketAddr| {
        begun
            .lock()
            .unwrap()
            .push((to, begin.elapsed().as_millis() as u64));
        match manners[&to] {
            (0, _) => std::future::pending().await,
            (ms, answers) => {
                sleep_until(Instant::now() + Duration::from_millis(ms)).await;
                if answers {
                    Ok(to)
                } else {
                    Err(io::ErrorKind::ConnectionRefused.into())
                }
            }
        }
    };
    let result = race(addresses, begin + limit, attempt).await;
    let begun = std::mem::take(&mut *begun.lock().unwrap());
    (result.map_err(|(ended, _)| ended), begun)
}

const LIMIT: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn a_first_address_that_answers_soon_is_the_only_one_dialled() {
    let manners = Manners::from([(v6(1), (240, true)), (v4(1), (1, true))]);
    let (won, begun) = run(&[v6(1), v4(1)], &manners, LIMIT).await;
    assert_eq!(won, Ok(v6(1)));
    assert_eq!(begun, [(v6(1), 0)]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_address_costs_a_quarter_of_a_second() {
    let manners = Manners::from([(v6(1), (0, true)), (v4(1), (0, true)), (v6(2), (5, true))]);
    let (won, begun) = run(&[v6(1), v4(1), v6(2)], &manners, LIMIT).await;
    assert_eq!(won, Ok(v6(2)));
    assert_eq!(
        begun.iter().map(|(_, at)| at / 10 * 10).collect::<Vec<_>>(),
        [0, 250, 500]
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_lets_the_next_go_at_once() {
    let manners = Manners::from([(v6(1), (3, false)), (v4(1), (3, true))]);
    let (won, begun) = run(&[v6(1), v4(1)], &manners, LIMIT).await;
    assert_eq!(won, Ok(v4(1)));
    assert!(begun[1].1 < 10, "{begun:?}");
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_or_the_time_is_over_it_ends() {
    let manners = Manners::from([(v6(1), (3, false)), (v4(1), (9, false)), (v4(2), (0, true))]);
    assert_eq!(
        run(&[v6(1), v4(1)], &manners, LIMIT).await.0,
        Err(Ended::AllFailed)
    );
    assert_eq!(run(&[], &manners, LIMIT).await.0, Err(Ended::AllFailed));
    assert_eq!(
        run(&[v6(1), v4(2)], &manners, LIMIT).await.0,
        Err(Ended::Late)
    );
}

fn options(bind: Bind) -> TcpOptions {
    TcpOptions {
        bind,
        deadline: Instant::now() + LIMIT,
    }
}

#[tokio::test]
async fn a_name_with_two_families_is_reached_where_somebody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = TcpTarget {
        host: "localhost",
        port,
    };
    let transport = Transport::tcp(target, options(Bind::Any)).await.unwrap();
    assert_eq!(transport.peer_addr(), Some(listener.local_addr().unwrap()));
}

#[tokio::test]
async fn the_source_address_is_the_one_asked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let from = IpAddr::from([127, 0, 0, 9]);
    let target = TcpTarget {
        host: "127.0.0.1",
        port,
    };
    let _transport = Transport::tcp(target, options(Bind::Address(from)))
        .await
        .unwrap();
    assert_eq!(listener.accept().unwrap().1.ip(), from);
    let six = Bind::Address(Ipv6Addr::LOCALHOST.into());
    let error = Transport::tcp(target, options(six)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "127.0.0.1 has no address that can be reached from ::1"
    );
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_named_with_what_it_said() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let target = TcpTarget {
        host: "127.0.0.1",
        port,
    };
    let error = Transport::tcp(target, options(Bind::Any))
        .await
        .unwrap_err();
    let expected =
        format!("cannot connect to 127.0.0.1: 127.0.0.1:{port}: Connection refused (os error 111)");
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn nothing_is_held_back_and_the_kernel_asks_nothing_of_a_silent_peer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let same = ours.try_clone().unwrap();
    let _transport = Transport::from_tcp(ours).unwrap();
    assert!(same.nodelay().unwrap());
    assert!(!rustix::net::sockopt::socket_keepalive(&same).unwrap());
}
