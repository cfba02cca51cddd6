//! A short log in Jepsen's words, as its registers are logged.

use super::{illegal, judge};
use crate::judge::check::{ConsistencyModel, HistoryVerdict};

const LOG: &str = "INFO  jepsen.util - 0\t:invoke\t:read\tnil\n\
                   INFO  jepsen.util - 0\t:ok\t:read\tnil\n\
                   INFO  jepsen.util - 1\t:invoke\t:write\t4\n\
                   INFO  jepsen.util - 2\t:invoke\t:cas\t[4 3]\n\
                   INFO  jepsen.util - 1\t:ok\t:write\t4\n\
                   INFO  jepsen.util - 2\t:ok\t:cas\t[4 3]\n\
                   INFO  jepsen.util - 3\t:invoke\t:write\t1\n\
                   INFO  jepsen.util - 3\t:info\t:write\t:timed-out\n\
                   INFO  jepsen.util - 0\t:invoke\t:read\tnil\n";

#[test]
fn a_write_that_timed_out_may_or_may_not_have_been() {
    for shown in ["3", "1"] {
        assert_eq!(
            judge(ConsistencyModel::CasRegister, &format!("{LOG}INFO  jepsen.util - 0\t:ok\t:read\t{shown}\n")),
            HistoryVerdict::Ok
        );
    }
    let verdict = judge(ConsistencyModel::CasRegister, &format!("{LOG}INFO  jepsen.util - 0\t:ok\t:read\t4\n"));
    assert!(illegal(&verdict).1.contains("read 4"), "{verdict:?}");
}
