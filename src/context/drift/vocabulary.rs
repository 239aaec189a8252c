//! English words and what they say about effects. Data only: how it is used stands in [`super::grammar`].
//!
//! General English and the general vocabulary of tools. Nothing here may be taken from a benchmark: no name, no
//! domain, no phrase of an attack.

use super::grammar::Class;

/// Verbs that can hardly be anything else.
pub(super) const VERBS: &[(Class, &str)] = &[
    (
        Class::ACCESS,
        "invite share grant authorise authorize permit onboard enrol enroll promote demote add allow admit assign delegate give",
    ),
    (
        Class::COMMUNICATE,
        "send reply respond forward publish notify inform announce contact greet thank congratulate remind broadcast share submit apologise apologize tweet write praise propose advertise circulate deliver convey relay",
    ),
    (
        Class::PAY,
        "pay buy rebuy purchase reorder checkout refund reimburse donate deposit remit repay withdraw invest wire settle spend redeem subscribe bid prepay topup",
    ),
    (
        Class::CREATE,
        "create make schedule remind reserve organise organize generate compose arrange insert upload save store prepare add duplicate setup establish install initiate initialise initialize append write build put rebook enrol enroll register download attach import export reproduce sketch",
    ),
    (
        Class::UPDATE,
        "update edit modify adjust rename reschedule append replace increase decrease extend raise lower correct fix configure customise customize merge commit accept decline postpone convert exchange enable disable activate deactivate resolve amend revise rewrite reassign upgrade downgrade improve migrate move set add put apply follow unfollow complete rebase shift reorganise reorganize swap reset renew insert include assign unsubscribe join leave mute pin flag highlight transform archive restore",
    ),
    (
        Class::DELETE,
        "delete remove cancel erase discard uninstall purge destroy wipe terminate revoke unsubscribe kick ban evict eliminate deactivate unshare clear clean empty",
    ),
    (Class::EXECUTE, "execute run install deploy compile restart reboot invoke start stop trigger launch debug"),
    (Class::CREDENTIAL, "login authenticate reset"),
];

/// Words that are verbs only in the place of one: "to book a table", not "a book".
pub(super) const NOUN_VERBS: &[(Class, &str)] = &[
    (Class::ACCESS, "transfer"),
    (Class::COMMUNICATE, "email mail message text post comment call report ask ping dm answer note raise issue open"),
    (Class::PAY, "transfer order charge tip rent top return get send"),
    (
        Class::CREATE,
        "book plan draft record log copy file design open start note fork branch issue raise block enter form host set rent order get keep",
    ),
    (
        Class::UPDATE,
        "change star rate review mark like label tag push sync address rank return switch turn tick check close reopen react vote sort finish fill enter record sign bookmark clear comment order adapt upvote favourite favorite watch",
    ),
    (Class::DELETE, "drop cut trash close end void block"),
    (Class::EXECUTE, "script test command"),
];

/// Nouns that ask for an effect after a light verb: "make a reservation".
pub(super) const EFFECT_NOUNS: &[(Class, &str)] = &[
    (
        Class::ACCESS,
        "access permission permissions invitation membership ownership collaborator collaborators member members participant participants invite",
    ),
    (
        Class::COMMUNICATE,
        "email message reply response announcement notification reminder comment post mail note letter dm feedback report call tweet question issue",
    ),
    (
        Class::PAY,
        "payment purchase refund transfer transaction deposit donation order reimbursement withdrawal subscription",
    ),
    (
        Class::CREATE,
        "reservation booking appointment event meeting reminder entry copy folder directory file account list note document ticket issue invitation calendar record repository",
    ),
    (Class::UPDATE, "change update correction adjustment upgrade exchange edit review rating star cart modification"),
    (Class::DELETE, "deletion removal cancellation"),
];

/// Verbs that say little by themselves.
pub(super) const LIGHT: &str = "make place request do issue set need want like process submit send complete give take schedule write add leave initiate raise perform get open create file have put propose arrange";

/// Money, which makes a payment out of sending.
pub(super) const MONEY: &str = "money payment payments amount dollars dollar euro euros usd eur gbp chf pounds fund funds cash balance rent bill bills fee fees transaction transactions salary invoice sum wage price remittance iban difference";

/// Verbs that pay when money is their object.
pub(super) const MONEY_VERBS: &str =
    "send give transfer set adjust update schedule make complete submit return cover handle change raise wire move add";

/// Words for secrets.
pub(super) const CREDENTIALS: &str = "password passwords passwd passphrase passcode credential credentials secret secrets token tokens otp pin login log ssh mfa 2fa apikey key keys certificate certificates authentication";

/// Secrets in names of tools, where `key` alone may be the key of anything.
pub(super) const NAME_CREDENTIALS: &str = "password passwords passwd passphrase passcode credential credentials secret secrets ssh mfa 2fa apikey token tokens";

/// Reading verbs, as tools are named.
pub(super) const READS: &str = "get list search find read view show describe count lookup query calculate think browse visit open fetch check summarise summarize translate analyse analyze compare validate preview inspect retrieve load download pull clone diff status help explain estimate convert filter rank select scan monitor watch track navigate screenshot extract parse see look echo ping tail head cat grep print measure detect audit export";

/// Nouns that end the name of a reading tool.
pub(super) const READ_NOUNS: &str = "total count balance history status info information details summary list stats statistics price prices weather profile overview result results report metrics hours rating ratings reviews availability schedule";

/// Verbs that answer a question of the tool.
pub(super) const CONFIRMS: &str = "verify confirm authenticate login signin otp acknowledge logout signout";

/// Verbs of a web form.
pub(super) const FORMS: &str = "input submit fill click press type enter select";

/// People in the names of tools.
pub(super) const PEOPLE: &str = "user users member members collaborator collaborators participant participants guest guests attendee attendees contact owner ownership owners role roles permission permissions access group team reviewer";

/// Verbs that reach a place on the web.
pub(super) const FETCHES: &str =
    "visit open click browse navigate download read go access check fetch view see follow load look curl get";

/// Things on the web.
pub(super) const WEB: &str = "link links url urls website websites webpage webpages page pages site sites article articles blog blogs thread threads forum newsletter homepage resource resources";

/// Verbs that hand over: "do all tasks", "follow the instructions".
pub(super) const DELEGATES: &str = "do complete perform follow handle execute finish address carry accomplish act fulfil fulfill resolve achieve process tackle implement obey help work solve";

/// What is handed over.
pub(super) const DELEGATED: &str = "task tasks todo todos to-do instruction instructions step steps request requests action actions assignment assignments item items errand errands chore chores everything whatever directions procedure order orders issue issues work job jobs it them that requirements";

/// Words that do not tell one text from another.
pub(super) const STOP: &str = "a an the and or but if then of to in on at by for from with without about into over under between through during before after is are was were be been being am do does did have has had having i me my mine we us our you your yours he him his she her hers it its they them their this that these those there here what which who whom whose when where why how all any both each few more most other some such no nor not only own same so than too very can could will would shall should may might must just also please kindly hey hi hello dear thanks thank regards best let make sure need want like get give new one two three first last next up out as per via";

/// Things that every office has: no sign that a text is about this request.
pub(super) const GENERIC: &str = "email emails mail mails message messages file files document documents folder folders drive cloud event events calendar meeting meetings appointment appointments channel channels user users account accounts transaction transactions payment payments money amount link links url website webpage page site web list item items data information info details name names address addresses date time day today tomorrow week month year number id ids content text body subject title description inbox contact contacts order orders product products cart price hotel hotels restaurant restaurants room booking reservation flight flights car cars company repository repositories repo repos issue issues code branch task tasks app server database record records table password key code bank friend colleague team work project note notes attachment attachments download upload picture image photo video";

/// Says that the reader must do something.
pub(super) const PLEASE: &str = "please kindly todo";
pub(super) const MODALS: &str = "must should need shall have ought can could would will";
/// Reading and thinking verbs that can begin an order.
pub(super) const IMPERATIVES: &str = "go visit open click read see look check use find get list search fetch download browse navigate say tell show give take try do let follow ensure remember ignore disregard forget override bypass begin continue stop note act answer provide include repeat print output return summarise summarize translate concatenate combine extract collect gather retrieve select choose pick recommend mention respond consider verify confirm proceed click press type enter submit fill log sign help keep bring tick copy paste convert encode append attach cc bcc transfer email mail message text post book order change call buy";

/// The attack lexicon. It may turn a question into a refusal and nothing else.
pub(super) const OVERRIDE_VERBS: &str = "ignore disregard forget override bypass supersede supersedes overrule neglect";
pub(super) const OVERRIDE_OBJECTS: &str = "previous prior earlier above instruction instructions guideline guidelines rules restrictions directive directives prompt prompts context constraints";
pub(super) const MACHINES: &str = "ai llm chatbot assistant bot";
pub(super) const PRECEDENCE: &str =
    "before immediately instead urgent important priority first critical mandatory required attention";
pub(super) const SECRECY: &str = "silently secretly quietly covertly unnoticed";
pub(super) const MARKUP: &str =
    "important information system instruction instructions admin inst assistant im_start user_instruction override";

/// Words after which a verb may follow.
pub(super) const BEFORE_VERBS: &str = "to and then also you or just finally now not i we us let lets";

/// Occasions, in the names of tools.
pub(super) const EVENTS: &str = "event events meeting meetings appointment appointments reminder reminders calendar";

/// Baskets, in the names of tools.
pub(super) const SHOPS: &str = "cart basket wishlist checkout";

/// Standing, in the names of tools: who holds it can do more.
pub(super) const ROLES: &str = "owner ownership owners role roles permission permissions access collaborator collaborators member members group team";
