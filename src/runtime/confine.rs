//! What a gateway can do once it runs: read and write its own folders and sockets, and little else.
//!
//! A filter (seccomp(2)) refuses system calls that it never makes, with EPERM, and Landlock refuses
//! every file but its own and every new TCP port and connection. Both hold for the thread that asks
//! and for those it starts from then on, for good.

use std::collections::BTreeMap;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, NetPort, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// System calls that agents and helpers make.
const ALLOWED: &[i64] = &[
    // Sockets, of the kernel and of AF_XDP.
    libc::SYS_accept4,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_setsockopt,
    libc::SYS_getsockopt,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_shutdown,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_ppoll,
    libc::SYS_eventfd2,
    // Files, which Landlock keeps to the gateway's own folders.
    libc::SYS_openat,
    libc::SYS_close,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_lseek,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_copy_file_range,
    libc::SYS_flock,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_getdents64,
    libc::SYS_mkdirat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_unlinkat,
    libc::SYS_readlinkat,
    libc::SYS_getcwd,
    libc::SYS_ioctl,
    // Memory.
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_brk,
    // Threads, and their cores.
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_futex,
    libc::SYS_membarrier,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_setattr,
    libc::SYS_sched_getattr,
    libc::SYS_setpriority,
    libc::SYS_prctl,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_tgkill,
    // Time.
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    // Signals.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    // The rest.
    libc::SYS_getrandom,
    libc::SYS_geteuid,
];

/// Those that only older machines have.
#[cfg(target_arch = "x86_64")]
const ALLOWED_OLD: &[i64] = &[
    libc::SYS_epoll_wait,
    libc::SYS_poll,
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_mkdir,
    libc::SYS_rename,
    libc::SYS_unlink,
    libc::SYS_readlink,
    libc::SYS_arch_prctl,
];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_OLD: &[i64] = &[];

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Confined {
    /// Why there is no filter of system calls, if there is none.
    pub calls: Result<(), String>,
    /// Why files are not kept from the process, if they are not or not all are.
    pub files: Result<(), String>,
}

/// Confines this thread, and those that it starts later, to `folders`, and to calling others on `ports`.
pub fn confine(folders: &[&Path], ports: &[u16]) -> Confined {
    // Files first: the filter leaves no way to ask for them.
    let files = confine_files(folders, ports);
    Confined { files, calls: confine_calls(!ports.is_empty()) }
}

fn confine_files(folders: &[&Path], ports: &[u16]) -> Result<(), String> {
    let restrict = || {
        let abi = ABI::V5;
        let files: BitFlags<AccessFs> = AccessFs::from_all(abi) & !AccessFs::Execute;
        let mut rules = Ruleset::default()
            .handle_access(AccessFs::from_all(abi))?
            .handle_access(AccessNet::from_all(abi))?
            .create()?;
        for folder in folders {
            let Ok(folder) = PathFd::new(folder) else { continue };
            rules = rules.add_rule(PathBeneath::new(folder, files))?;
        }
        for port in ports {
            rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
        }
        rules.restrict_self()
    };
    match restrict() {
        Ok(status) => match status.ruleset {
            RulesetStatus::FullyEnforced => Ok(()),
            RulesetStatus::PartiallyEnforced => {
                Err("this kernel's Landlock knows only a part of the rules".to_owned())
            }
            RulesetStatus::NotEnforced => Err("this kernel has no Landlock".to_owned()),
        },
        Err(error) => {
            let error: landlock::RulesetError = error;
            Err(error.to_string())
        }
    }
}

fn confine_calls(calls_others: bool) -> Result<(), String> {
    let program = filter(calls_others).map_err(|error| error.to_string())?;
    seccompiler::apply_filter(&program).map_err(|error| error.to_string())
}

fn filter(calls_others: bool) -> Result<BpfProgram, seccompiler::BackendError> {
    let always = |call: &i64| (*call, vec![]);
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().chain(ALLOWED_OLD).map(always).collect();
    // A service manager is told by a datagram to a local socket (sd_notify(3)).
    let local =
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, libc::AF_UNIX as u64)?;
    let mut sockets = vec![SeccompRule::new(vec![local])?];
    if calls_others {
        for family in [libc::AF_INET, libc::AF_INET6] {
            let is_of = (SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, family as u64);
            let stream = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
            let is_tcp = (SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, stream as u64);
            let condition = |at, (length, how, what)| SeccompCondition::new(at, length, how, what);
            sockets.push(SeccompRule::new(vec![condition(0, is_of)?, condition(1, is_tcp)?])?);
        }
        rules.insert(libc::SYS_connect, vec![]);
    }
    rules.insert(libc::SYS_socket, sockets);
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let refused = SeccompAction::Errno(libc::EPERM as u32);
    SeccompFilter::new(rules, refused, SeccompAction::Allow, arch)?.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{ErrorKind, Write};
    use std::net::{TcpListener, TcpStream};

    /// On a thread of its own: the tests beside it stay as free as they were.
    #[test]
    fn a_confined_thread_has_its_folder_and_what_is_open_and_nothing_else() {
        let dir = std::env::temp_dir().join(format!("millrace-confine-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut peer = TcpStream::connect(address).unwrap();
        let own = dir.clone();
        let confined = std::thread::spawn(move || {
            let confined = confine(&[&own], &[]);
            // What is its own still works, on threads it starts too.
            let worker = std::thread::spawn(move || {
                File::create(own.join("file")).unwrap().write_all(b"text").unwrap();
                std::fs::rename(own.join("file"), own.join("other")).unwrap();
                assert_eq!(std::fs::read(own.join("other")).unwrap(), b"text");
                std::fs::remove_file(own.join("other")).unwrap();
                let (mut stream, _) = listener.accept().unwrap();
                stream.write_all(b"hello").unwrap();
            });
            worker.join().unwrap();
            let refused = |error: std::io::Error| error.kind() == ErrorKind::PermissionDenied;
            if confined.calls.is_ok() {
                assert!(refused(TcpStream::connect(address).unwrap_err()));
                assert!(refused(TcpListener::bind("127.0.0.1:0").unwrap_err()));
                assert!(refused(std::process::Command::new("true").spawn().unwrap_err()));
            }
            if confined.files.is_ok() {
                assert!(refused(File::open("/etc/passwd").unwrap_err()));
                assert!(refused(File::create("/tmp/millrace-confined").unwrap_err()));
            }
            confined
        });
        let confined = confined.join().unwrap();
        let mut text = [0; 5];
        std::io::Read::read_exact(&mut peer, &mut text).unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
        // Every kernel this is built for has the filter.
        assert_eq!(confined.calls, Ok(()));
        assert!(
            TcpStream::connect(address).is_err(),
            "the listener is gone, and asking is allowed"
        );
    }
}
