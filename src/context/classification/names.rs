//! Names that say what the value behind them is.

use super::Label;

/// Longest name that is looked up, without separators.
const NAME_MAX: usize = 32;

/// The label that a member name gives its value, whatever its case and separators.
pub(super) fn label(word: &[u8]) -> Option<Label> {
    let mut buffer = [0_u8; NAME_MAX];
    let name = fold(word, &mut buffer)?;
    match name {
        b"ssn"
        | b"socialsecuritynumber"
        | b"passport"
        | b"passportnumber"
        | b"dateofbirth"
        | b"dob"
        | b"birthdate"
        | b"phone"
        | b"phonenumber"
        | b"mobile"
        | b"mobilenumber"
        | b"homeaddress"
        | b"streetaddress"
        | b"postaladdress"
        | b"driverslicense"
        | b"driverlicense"
        | b"nationalid"
        | b"taxid"
        | b"fullname"
        | b"firstname"
        | b"lastname"
        | b"surname"
        | b"givenname"
        | b"emailaddress"
        | b"maidenname" => Some(Label::Pii),
        b"diagnosis"
        | b"diagnoses"
        | b"medication"
        | b"medications"
        | b"prescription"
        | b"icd10"
        | b"mrn"
        | b"medicalrecordnumber"
        | b"patientid"
        | b"patientname"
        | b"allergies"
        | b"bloodtype"
        | b"healthplannumber"
        | b"nhsnumber" => Some(Label::Phi),
        b"iban" | b"accountnumber" | b"bankaccount" | b"routingnumber" | b"sortcode" | b"salary" | b"annualsalary"
        | b"netincome" => Some(Label::Financial),
        b"cardnumber" | b"creditcard" | b"creditcardnumber" | b"cvv" | b"cvc" | b"cardexpiry" => Some(Label::Pci),
        _ => None,
    }
}

/// The number of a word about health: words that a hospital writes beside each other and an office does not.
pub(super) fn health_word(word: &[u8]) -> Option<u32> {
    // Almost every word is none of them: the first two letters tell.
    let [first, second, ..] = word else { return None };
    let begins = [first.to_ascii_lowercase(), second.to_ascii_lowercase()];
    if !matches!(&begins, b"pa" | b"pr" | b"di" | b"do" | b"ic" | b"in" | b"sy" | b"me" | b"ho" | b"hi" | b"on" | b"ch")
    {
        return None;
    }
    let mut buffer = [0_u8; NAME_MAX];
    let bit = match fold(word, &mut buffer)? {
        b"patient" | b"patients" => 0,
        b"diagnosis" | b"diagnosed" | b"diagnoses" => 1,
        b"prescribed" | b"prescription" => 2,
        b"icd10" => 3,
        b"symptoms" => 4,
        b"medication" | b"medications" | b"dosage" => 5,
        b"hospitalized" | b"hospitalised" => 6,
        b"oncology" | b"chemotherapy" | b"hiv" | b"insulin" => 7,
        _ => return None,
    };
    Some(bit)
}

/// A word in lower case without separators; `None` for one that is longer than any name.
fn fold<'b>(word: &[u8], buffer: &'b mut [u8; NAME_MAX]) -> Option<&'b [u8]> {
    let mut length = 0;
    for byte in word.iter().filter(|byte| byte.is_ascii_alphanumeric()) {
        *buffer.get_mut(length)? = byte.to_ascii_lowercase();
        length += 1;
    }
    buffer.get(..length)
}
