//! Environment variables that are more than text to the programs that read them.

/// Variables that a program evaluates, takes options from, or finds code and programs by; by what reads them.
const EVALUATED: [&[&str]; 11] = [
    // Shells.
    &[
        "BASH_ENV",
        "BASHOPTS",
        "CDPATH",
        "ENV",
        "FPATH",
        "IFS",
        "PATH",
        "PROMPT_COMMAND",
        "PS0",
        "PS1",
        "PS2",
        "PS4",
        "SHELL",
        "SHELLOPTS",
        "ZDOTDIR",
    ],
    // What programs call to edit, to show or to ask.
    &[
        "BROWSER",
        "EDITOR",
        "LESSCLOSE",
        "LESSOPEN",
        "MANPAGER",
        "PAGER",
        "SSH_ASKPASS",
        "SUDO_ASKPASS",
        "VISUAL",
    ],
    // The C library and the libraries that most programs are linked with (`LD_…` is below).
    &[
        "GCONV_PATH",
        "GLIBC_TUNABLES",
        "HOSTALIASES",
        "LOCPATH",
        "NLSPATH",
        "OPENSSL_CONF",
        "OPENSSL_ENGINES",
        "OPENSSL_MODULES",
    ],
    // Python.
    &[
        "DJANGO_SETTINGS_MODULE",
        "PYTHONBREAKPOINT",
        "PYTHONEXECUTABLE",
        "PYTHONHOME",
        "PYTHONINSPECT",
        "PYTHONPATH",
        "PYTHONPLATLIBDIR",
        "PYTHONSTARTUP",
        "PYTHONUSERBASE",
        "PYTHONWARNINGS",
    ],
    // Perl, Ruby, Lua, Tcl, R, awk.
    &[
        "AWKLIBPATH",
        "AWKPATH",
        "BUNDLE_GEMFILE",
        "GEM_HOME",
        "GEM_PATH",
        "IRBRC",
        "LUA_CPATH",
        "LUA_INIT",
        "LUA_PATH",
        "PERL5DB",
        "PERL5LIB",
        "PERL5OPT",
        "PERL5SHELL",
        "PERLLIB",
        "RUBYLIB",
        "RUBYOPT",
        "RUBYPATH",
        "RUBYSHELL",
        "R_ENVIRON",
        "R_ENVIRON_USER",
        "R_PROFILE",
        "R_PROFILE_USER",
        "TCLLIBPATH",
    ],
    // PHP.
    &["PHPRC", "PHP_INI_SCAN_DIR", "WORDPRESS_CONFIG_EXTRA"],
    // JavaScript, Java, .NET, Erlang.
    &[
        "CLASSPATH",
        "CORECLR_PROFILER_PATH",
        "DOTNET_ADDITIONAL_DEPS",
        "DOTNET_STARTUP_HOOKS",
        "ERL_AFLAGS",
        "ERL_LIBS",
        "ERL_ZFLAGS",
        "JAVA_HOME",
        "NODE_PATH",
        "NODE_REPL_EXTERNAL_MODULE",
    ],
    // Compilers and what runs them.
    &[
        "CC",
        "CFLAGS",
        "CXX",
        "CXXFLAGS",
        "GODEBUG",
        "GOFLAGS",
        "LDFLAGS",
        "MAKEFLAGS",
        "RUSTC_WRAPPER",
        "RUSTFLAGS",
    ],
    // Git and what copies by SSH (`GIT_CONFIG…` and `…_COMMAND` are below).
    &[
        "CVS_RSH",
        "GIT_ASKPASS",
        "GIT_EDITOR",
        "GIT_EXEC_PATH",
        "GIT_EXTERNAL_DIFF",
        "GIT_PAGER",
        "GIT_SEQUENCE_EDITOR",
        "GIT_SSH",
        "GIT_TEMPLATE_DIR",
        "RSYNC_RSH",
    ],
    // Clients of databases.
    &[
        "LIBMYSQL_PLUGINS",
        "LIBMYSQL_PLUGIN_DIR",
        "MYSQL_HOME",
        "PGOPTIONS",
        "PGSERVICEFILE",
        "PGSYSCONFDIR",
        "PSQLRC",
        "PSQL_EDITOR",
        "PSQL_PAGER",
    ],
    // Files of settings that name programs to run.
    &["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "CURL_HOME", "KUBECONFIG", "WGETRC"],
];
/// What the names of such variables begin with.
const BEGINNINGS: [&str; 5] = ["LD_", "BASH_FUNC_", "GIT_CONFIG", "npm_config_", "NPM_CONFIG_"];
/// What the names of such variables end in.
const ENDS: [&str; 8] = ["_OPTIONS", "_OPTS", "_OPT", "_ARGS", "_FLAGS", "_COMMAND", "_CMD", "_EVAL"];

/// Whether a program may run, load or obey what this variable says.
pub(super) fn is_evaluated(name: &str) -> bool {
    EVALUATED.iter().any(|names| names.contains(&name))
        || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
        || ENDS.iter().any(|end| name.ends_with(end))
}
