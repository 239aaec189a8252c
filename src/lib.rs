//! Countersign: an inline mediation proxy for the actions of AI agents.
//!
//! An agent uses it as its tool endpoint. It stands in front of MCP servers and plain HTTP tools, decides every call
//! before it runs, records a signed receipt that anyone can verify with tools we did not write, and streams events to
//! the SIEM. It implements AARM v1.0 R1-R9, self-tested.
//!
//! ```text
//! agent ─► intercept ─► identify ─► context ─► decide ─► RECORD decision ─► forward ─► RECORD outcome ─► agent
//!          bytes→Call   who         session    pure      durable, signed    tool       │
//!                                                            the log ──► export ─► SIEMs
//! ```
//!
//! Start reading at [`mediate`]: it is that line as one function. Every stage is a module; its `mod.rs` says what it
//! does and what it must never do. A module imports only from its left in this list:
//! `model net metrics record intercept identify context decide approve forward export observe mediate console config
//! cli main`.

pub mod approve;
pub mod cli;
pub mod config;
pub mod console;
pub mod context;
pub mod decide;
pub mod export;
pub mod forward;
pub mod identify;
pub mod intercept;
pub mod manual;
pub mod mediate;
pub mod metrics;
pub mod model;
pub mod net;
pub mod observe;
pub mod record;
