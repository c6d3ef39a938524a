//! The agent program.

use std::process::ExitCode;

fn main() -> ExitCode {
    hostler_agent::main()
}

/// Takes the place of libgcc's stack walker, which std shows backtraces with. This one finds no frame, so that the
/// optimiser sees that std's reader of debug information has nothing to read, and drops it: 0.17 MB. The agent has a
/// panic hook of its own and never shows a backtrace.
#[cfg(feature = "no-backtraces")]
#[expect(
    unsafe_code,
    reason = "the name is libgcc's; arguments and result are what its ABI says, and neither pointer is followed"
)]
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_frame: *const (), _context: *mut ()) -> i32 {
    const END_OF_STACK: i32 = 5;
    END_OF_STACK
}
