//! The arguments that every module which writes files has.

use hostler_value::Value;

/// The common arguments, borrowed from a module's own.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FileArgs<'a> {
    /// `mode`.
    pub(crate) mode: Option<&'a Value>,
    /// `owner`.
    pub(crate) owner: Option<&'a str>,
    /// `group`.
    pub(crate) group: Option<&'a str>,
    /// `attributes`, in the form that `chattr` reads.
    pub(crate) attributes: Option<&'a str>,
    /// Is any part of a `SELinux` label asked for?
    pub(crate) selinux: bool,
}

/// Declares an argument struct with the common file arguments behind its own, and a method `file_args`.
macro_rules! with_file_args {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        $vis struct $name {
            $($own)*
            /// Permissions: octal text such as `"0644"`, or symbolic such as `u=rw,g=r,o=r`. Without it an existing
            /// file keeps its mode and a new one gets what the umask allows.
            mode: Option<hostler_value::Value>,
            /// User that owns the file, by name or number.
            owner: Option<String>,
            /// Group that owns the file, by name or number.
            group: Option<String>,
            /// User part of the SELinux label.
            seuser: Option<String>,
            /// Role part of the SELinux label.
            serole: Option<String>,
            /// Type part of the SELinux label.
            setype: Option<String>,
            /// Level part of the SELinux label.
            selevel: Option<String>,
            /// Attributes of the file as `chattr` names them, with an optional leading `+`, `-` or `=`.
            #[serde(alias = "attr")]
            attributes: Option<String>,
            /// Write in place where the file cannot be replaced by a rename, as in some containers.
            #[serde(default)]
            unsafe_writes: bool,
        }

        impl $name {
            #[allow(clippy::allow_attributes, dead_code, reason = "not every module sets attributes by this")]
            fn file_args(&self) -> $crate::files::FileArgs<'_> {
                let selinux = [&self.seuser, &self.serole, &self.setype, &self.selevel];
                $crate::files::FileArgs {
                    mode: self.mode.as_ref(),
                    owner: self.owner.as_deref(),
                    group: self.group.as_deref(),
                    attributes: self.attributes.as_deref(),
                    selinux: selinux.iter().any(|part| part.is_some()),
                }
            }
        }
    };
}

pub(crate) use with_file_args;
