//! The kinds of requests there are: by its route's class a request is admitted, and counted.

/// What kind of request a route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Tells of this process or of the cluster's health; served before there is a cluster map, too.
    Status,
    /// Tells of the cluster map or changes it.
    Admin,
    /// Reads points by id, page or number.
    Read,
    /// Searches points by vectors.
    Search,
    /// Changes points.
    Write,
}

impl Class {
    /// Returns `true` if the route carries points: it has its share of memory and of requests served at once.
    pub fn carries_data(self) -> bool {
        matches!(self, Self::Read | Self::Search | Self::Write)
    }

    /// What the document of the API calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Admin => "admin",
            Self::Read => "read",
            Self::Search => "search",
            Self::Write => "write",
        }
    }
}
