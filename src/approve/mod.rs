//! People and resolvers.
