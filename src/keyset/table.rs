//! THE TABLE: every section and field of the Admin API that keyform knows, each with source and
//! certainty.
//!
//! Validation, diff, wire format, JSON Schema, reference page and sandbox are readers of it. To add
//! what the vendor ships, add rows here and a fixture under `tests/contract/`; if you have to edit
//! a third file by hand, ask what the table lacks.

use super::field::{
    Certainty, Need, Section, Source, TierRule, check, choice, flag, int, one_of, text,
};
use super::field::{Certainty::VendorClient, Tier};

/// Longest name, in characters. The API documents no limit; keyform refuses what no person would
/// type.
pub const NAME_MAX: usize = 256;

const RETENTION_DAYS: &[i64] = &[0, 1, 7, 30, 90, 180, 365];

/// Sections in the order in which people read them.
pub static SECTIONS: &[Section] = TABLE;

const CREATE: Source = Source::documented("Admin API: create a new keyset");
const FIXED: Source = Source::documented("Admin API: create a new keyset; no update call has it");
const CONFIG: Source = Source::documented("Admin API: update keyset configuration");
const CLIENT: Source = Source::vendor_client("pubnub-mcp-server, src/lib/portal");

const TABLE: &[Section] = &[
    Section::identity(
        "keyset",
        "The keyset itself. In TOML these stand directly in `[keyset.LABEL]`.",
        &[
            text(
                "name",
                CREATE,
                NAME_MAX,
                "Name shown in the portal. Need not be unique for the API; \
                                    keyform asks that it is within one app.",
            ),
            choice(
                "type",
                CREATE,
                &["testing", "production"],
                "`testing` keysets may be rate limited \
                                                        harder; `production` needs a paid plan.",
            )
            .tiers(&[TierRule::Words(&["production"], Tier::Starter)]),
            text(
                "appId",
                FIXED,
                NAME_MAX,
                "The app that holds the keyset. In TOML: `app = \"LABEL\"`.",
            )
            .fixed(),
        ],
    ),
    Section::config(
        "accessManager",
        "Access control by tokens that your server grants.",
        &[
            flag("enabled", CONFIG, "Turns Access Manager on: clients need a token from then on."),
            flag("tokenRevoke", CONFIG, "Allows tokens to be revoked; may add latency.").nullable(),
        ],
    ),
    Section::config(
        "files",
        "File sharing.",
        &[
            flag("enabled", CONFIG, "Turns file sharing on."),
            one_of("retention", CONFIG, RETENTION_DAYS, "How long files are kept.")
                .nullable()
                .unit("days")
                .note("0 = unlimited")
                .tiers(&[
                    TierRule::Ints(&[30, 90, 180], Tier::Starter),
                    TierRule::Ints(&[365, 0], Tier::Pro),
                ]),
            choice(
                "region",
                CONFIG,
                &["us-east-1", "us-west-1", "eu-central-1", "ap-south-1", "ap-northeast-1"],
                "Where files are stored.",
            )
            .once_set(),
        ],
    )
    .when_enabled(&["region", "retention"], VendorClient),
    Section::config(
        "streamController",
        "Channel groups and wildcard subscribe.",
        &[
            flag("enabled", CONFIG, "Turns Stream Controller on."),
            flag("wildcardSubscribe", CONFIG, "Allows subscribing to `channel.*`."),
            int("channelGroupLimit", CONFIG, 1, Some(2000), "Channels in one channel group.")
                .nullable()
                .unit("channels")
                .tiers(&[TierRule::Above(100, Tier::Starter)]),
        ],
    ),
    Section::config(
        "appContext",
        "Stored metadata of users, channels and memberships.",
        &[
            flag("enabled", CONFIG, "Turns App Context on."),
            choice(
                "region",
                CONFIG,
                &["aws-iad-1", "aws-pdx-1", "aws-fra-1", "aws-bom-1", "aws-hnd-1"],
                "Where metadata is stored.",
            )
            .once_set(),
            flag("userMetadataEvents", CONFIG, "Sends events when user metadata changes."),
            flag("channelMetadataEvents", CONFIG, "Sends events when channel metadata changes."),
            flag("membershipEvents", CONFIG, "Sends events when memberships change."),
            flag(
                "disallowGetAllChannelMetadata",
                CONFIG,
                "Refuses listing the metadata of all channels \
                                                   without a token that allows it.",
            ),
            flag(
                "disallowGetAllUserMetadata",
                CONFIG,
                "Refuses listing the metadata of all users without \
                                                a token that allows it.",
            ),
            flag("referentialIntegrity", CONFIG, "Memberships need an existing user and channel."),
        ],
    )
    .when_enabled(&["region"], VendorClient),
    Section::config(
        "dataSync",
        "Stored objects that clients keep in step. For new accounts and accounts that do not use \
         App Context.",
        &[
            flag("enabled", CONFIG, "Turns DataSync on.").since("2026-09-03"),
            text(
                "region",
                CONFIG,
                64,
                "Where objects are stored. The list of regions is not documented.",
            )
            .once_set()
            .since("2026-09-03"),
        ],
    )
    .when_enabled(&["region"], Certainty::Documented)
    .needs(&[Need {
        section: "accessManager",
        field: "enabled",
        why: "requests of apps to DataSync need Access Manager, which is not turned on for you",
        certainty: Certainty::Inferred,
    }]),
    Section::config(
        "messagePersistence",
        "Message history.",
        &[
            flag("enabled", CONFIG, "Turns message history on."),
            one_of("retention", CLIENT, RETENTION_DAYS, "How long messages are kept.")
                .nullable()
                .unit("days")
                .note("0 = unlimited")
                .tiers(&[
                    TierRule::Ints(&[30, 90, 180], Tier::Starter),
                    TierRule::Ints(&[365, 0], Tier::Pro),
                ]),
            flag("includePresenceEvents", CONFIG, "Stores presence events too."),
            flag("deleteFromHistory", CONFIG, "Allows deleting stored messages."),
        ],
    )
    .when_enabled(&["retention"], VendorClient),
    Section::config(
        "presence",
        "Who is subscribed to what.",
        &[
            flag(
                "enabled",
                CONFIG,
                "Turns presence on. In the page examples; the vendor's client does not \
                             know it.",
            ),
            int(
                "announceMax",
                CLIENT,
                0,
                Some(100),
                "Above this occupancy, joins and leaves are sent as \
                                              intervals.",
            )
            .nullable()
            .unit("clients"),
            int("interval", CLIENT, 10, None, "Time between interval events.")
                .nullable()
                .unit("seconds"),
            int("debounce", CLIENT, 0, None, "Quiet time before a change is sent.")
                .nullable()
                .unit("seconds"),
            flag("deltas", CLIENT, "Interval events list who joined and left.").nullable(),
            flag(
                "generateLeaveOnDisconnect",
                CLIENT,
                "Sends a leave as soon as a client disconnects.",
            )
            .nullable(),
            flag("streamFiltering", CLIENT, "Presence events obey stream filters.").nullable(),
            text(
                "activeNoticeChannel",
                CLIENT,
                92,
                "Channel that hears when other channels become active \
                                             or empty.",
            )
            .nullable(),
        ],
    ),
    Section::config(
        "apns",
        "Apple push notifications. The three texts describe the uploaded token and are set by the \
         upload call only.",
        &[
            flag("enabled", CONFIG, "Turns APNs on."),
            text("teamId", CONFIG, NAME_MAX, "Apple team of the uploaded token.")
                .nullable()
                .read_only(),
            text("authKeyId", CONFIG, NAME_MAX, "Key id of the uploaded token.")
                .nullable()
                .read_only(),
            text("filename", CONFIG, NAME_MAX, "File name of the uploaded token.")
                .nullable()
                .read_only(),
        ],
    ),
    Section::config(
        "fcm",
        "Firebase push notifications. There is no `enabled`; the upload call sets this.",
        &[text("filename", CONFIG, NAME_MAX, "File name of the uploaded key.")
            .nullable()
            .read_only()],
    ),
];

const _: () = check(TABLE);

/// A file that is uploaded by a call of its own, and described by fields of a section: `POST
/// /v2/keysets/{id}/config/{section}`.
#[derive(Debug)]
pub struct PushCall {
    /// The section that describes what was uploaded, and the last part of the call's path.
    pub section: &'static str,
    /// Texts that go with the file, each required.
    pub texts: &'static [&'static str],
    /// The member of the request that holds the file's content: a guess, the documentation does not
    /// name it.
    pub content: &'static str,
    pub doc: &'static str,
}

/// The member of the request that holds the file's name.
pub const PUSH_FILENAME: &str = "filename";

/// The second table: uploads (Admin API: upload APNs credentials, upload FCM credentials;
/// documented).
pub static PUSH: [PushCall; 2] = [
    PushCall {
        section: "apns",
        texts: &["teamId", "authKeyId"],
        content: "token",
        doc: "An APNs token (`.p8`). Its upload turns `apns.enabled` on.",
    },
    PushCall {
        section: "fcm",
        texts: &[],
        content: "key",
        doc: "A Firebase key (JSON). Its upload turns `apns.enabled` on too.",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyset::field::{Kind, Life};

    #[test]
    fn every_row_is_whole() {
        for section in SECTIONS {
            assert!(!section.doc.is_empty(), "{} has no documentation", section.name);
            for field in section.fields {
                let at = format!("{}.{}", section.name, field.name);
                assert!(
                    field.name.starts_with(|c: char| c.is_ascii_lowercase())
                        && field.name.chars().all(|c| c.is_ascii_alphanumeric()),
                    "{at} is not camelCase"
                );
                assert!(
                    !field.doc.is_empty() && !field.source.place.is_empty(),
                    "{at} has no doc or source"
                );
                if field.life == Life::OnceSet {
                    assert!(field.nullable, "{at} is once set and must be null before");
                }
                if field.name == "enabled" {
                    assert_eq!(field.kind, Kind::Flag, "{at} is a switch");
                }
                match field.kind {
                    Kind::OneOf(values) => assert!(!values.is_empty(), "{at}"),
                    Kind::Choice(words) => assert!(!words.is_empty(), "{at}"),
                    Kind::Int { min, max } => assert!(max.is_none_or(|max| min < max), "{at}"),
                    Kind::Text { max } => assert!(max > 0, "{at}"),
                    Kind::Flag => {}
                }
            }
        }
    }
}
