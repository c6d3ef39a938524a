//! What an agent may say that is not so.

/// What a lying agent does. All of them say a right hello first, where nothing else is said, and answer every task
/// that the lie is not about as an agent that has nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// None: it answers everything.
    None,
    /// Announces a frame of 4 GiB.
    OversizedFrame,
    /// Announces the largest frame that is allowed, and sends its first half only.
    HalfFrame,
    /// A message that the protocol does not have.
    UnknownMessage,
    /// Bytes that are no frames.
    Garbage,
    /// Answers for tasks that it was never sent, a great many, and then for its own.
    OtherTasks,
    /// The same item twice.
    SameItemTwice,
    /// An item that the task does not have.
    OtherItem,
    /// Its answer comes on a lane that is not open, and then nothing.
    OtherLane,
    /// Output of a task that nobody watches, without end.
    EndlessOutput,
    /// Progress, without end.
    EndlessProgress,
    /// Signs of life that nobody asked for, without end.
    EndlessPongs,
    /// Items of other tasks, without end.
    EndlessDone,
    /// A value as large as a frame may be, in every answer.
    HugeValue,
    /// Many megabytes of warnings, each with a different text.
    ManyWarnings,
    /// A value that is nested a hundred thousand levels deep.
    DeepValue,
    /// A list that says that it has as many items as a number can say.
    LongList,
    /// Very many empty lists in a small message.
    ManyParts,
    /// Another program's hash in its hello.
    WrongHash,
    /// Its first message is not a hello.
    NoHello,
    /// A second hello.
    TwoHellos,
    /// Says that it never began the task that it was given just now.
    NeverBegan,
    /// Control characters and templates in every text that it can send.
    Texts,
    /// Says that it is another host, and gives facts of that.
    OtherHost,
    /// The end of a task without the answers of its items.
    EndWithoutDone,
    /// Nothing, once it has been given a task.
    Silence,
    /// Closes its channel when it is given a task.
    Exit,
    /// Cuts the connection when it is given a task.
    CutAtTask,
    /// Asks for content that the task does not have.
    UnknownContent,
    /// Asks for very many contents at once.
    ManyContents,
    /// Says that a lane has closed that nobody opened.
    ClosesLane,
    /// Says that somebody else holds the lock, with texts that are made to hurt.
    Locked,
    /// Says that it holds a lock that nobody asked about.
    LockUnasked,
    /// Its clock is as far away as a number can say.
    FarClock,
    /// Another boot id on every connection, with a line that is cut when a task comes.
    Reboots,
    /// On the second connection it knows nothing of a task that it was cut off in, on the first it had done it.
    Forgets,
    /// Says that it replaced files outside of every directory, with contents that do not have their hashes.
    Replaced,
}

impl Lie {
    /// Every lie.
    pub const ALL: &[Lie] = &[
        Lie::OversizedFrame,
        Lie::HalfFrame,
        Lie::UnknownMessage,
        Lie::Garbage,
        Lie::OtherTasks,
        Lie::SameItemTwice,
        Lie::OtherItem,
        Lie::OtherLane,
        Lie::EndlessOutput,
        Lie::EndlessProgress,
        Lie::EndlessPongs,
        Lie::EndlessDone,
        Lie::HugeValue,
        Lie::ManyWarnings,
        Lie::DeepValue,
        Lie::LongList,
        Lie::ManyParts,
        Lie::WrongHash,
        Lie::NoHello,
        Lie::TwoHellos,
        Lie::NeverBegan,
        Lie::Texts,
        Lie::OtherHost,
        Lie::EndWithoutDone,
        Lie::Silence,
        Lie::Exit,
        Lie::CutAtTask,
        Lie::UnknownContent,
        Lie::ManyContents,
        Lie::ClosesLane,
        Lie::Locked,
        Lie::LockUnasked,
        Lie::FarClock,
        Lie::Reboots,
        Lie::Forgets,
        Lie::Replaced,
    ];
}

/// A text that does harm wherever it is shown raw, compiled, taken for a path or read as a line of a log.
pub(crate) const TEXT: &str = concat!(
    "\u{1b}]0;EVIL\u{7}\u{1b}[2J\u{1b}[31m\u{9b}2J\u{202e}",
    "{{ lookup('pipe', 'touch /tmp/evil') }}{% for x in range(10) %}{{ 41 + 1 }}{% endfor %}",
    "\r\nPLAY RECAP ****\nok: [localhost]\u{0}../../etc/passwd<script>alert(1)</script>",
);
