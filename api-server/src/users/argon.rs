//! Argon2id in memory that each thread keeps. Allocated anew for each hash, these blocks stayed with the process many times over.

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::{
        self, CustomizedPasswordHasher, PasswordVerifier as _,
        phc::{Output, ParamsString, PasswordHash, Salt},
    },
};
use std::cell::RefCell;

thread_local! {
    /// As many blocks as a hash of today's parameters takes, once this thread has made one.
    static BLOCKS: RefCell<Vec<Block>> = const { RefCell::new(Vec::new()) };
}

/// Today's parameters.
#[derive(Clone, Debug)]
pub(super) struct Argon(Params);

impl Argon {
    pub(super) fn new(memory_kib: u32, passes: u32) -> Result<Self, argon2::Error> {
        Params::new(memory_kib, passes, 1, None).map(Self)
    }

    pub(super) fn hash(&self, password: &[u8]) -> Result<PasswordHash, password_hash::Error> {
        let salt = crate::random::bytes::<{ Salt::RECOMMENDED_LENGTH }>();
        self.hash_password_customized(password, &salt, None, None, self.0.clone())
    }

    /// Compares with a hash by the parameters that the hash names. A hash of another algorithm matches nothing.
    pub(super) fn matches(&self, password: &[u8], hash: &PasswordHash) -> bool {
        self.verify_password(password, hash).is_ok()
    }

    /// Whether a hash was made with weaker parameters than today's.
    pub(super) fn is_old(&self, hash: &PasswordHash) -> Result<bool, password_hash::Error> {
        let (params, today) = (Params::try_from(hash)?, &self.0);
        Ok(params.m_cost() < today.m_cost() || params.t_cost() < today.t_cost())
    }

    fn derive(
        &self,
        with: &Argon2<'_>,
        password: &[u8],
        salt: &[u8],
        out: &mut [u8],
    ) -> Result<(), argon2::Error> {
        let (wanted, kept) = (with.params().block_count(), self.0.block_count());
        if wanted > kept {
            // Of parameters that were stronger once: rare, and kept by no thread.
            return with.hash_password_into(password, salt, out);
        }
        BLOCKS.with_borrow_mut(|blocks| {
            if blocks.len() < kept {
                blocks.resize(kept, Block::new());
            }
            let done = with.hash_password_into_with_memory(password, salt, out, &mut blocks[..wanted]);
            // What it leaves there follows from the password, and the thread may wait long for the next.
            blocks[..wanted].fill(Block::new());
            done
        })
    }
}

/// What the library compares passwords by, in constant time.
impl CustomizedPasswordHasher<PasswordHash> for Argon {
    type Params = Params;

    fn hash_password_customized(
        &self,
        password: &[u8],
        salt: &[u8],
        algorithm: Option<&str>,
        version: Option<u32>,
        params: Params,
    ) -> Result<PasswordHash, password_hash::Error> {
        let algorithm = algorithm.map(Algorithm::try_from).transpose()?.unwrap_or_default();
        let version = version.map(Version::try_from).transpose()?.unwrap_or_default();
        let salt = Salt::new(salt)?;
        let mut buffer = [0; Output::MAX_LENGTH];
        let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
        let out = buffer.get_mut(..length).ok_or(password_hash::Error::OutputSize)?;
        self.derive(&Argon2::new(algorithm, version, params.clone()), password, &salt, out)?;
        Ok(PasswordHash {
            algorithm: algorithm.ident(),
            version: Some(version.into()),
            params: ParamsString::try_from(&params)?,
            salt: Some(salt),
            hash: Some(Output::new(out)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::password_hash::PasswordHasher as _;

    fn kept() -> (usize, bool) {
        BLOCKS.with_borrow(|blocks| {
            let is_blank = blocks.iter().all(|block| block.as_ref().iter().all(|word| *word == 0));
            (blocks.len(), is_blank)
        })
    }

    #[test]
    fn hashes_are_those_of_the_library_whatever_their_parameters() {
        let argon = Argon::new(64, 1).unwrap();
        for (algorithm, version, memory, passes, lanes, length) in [
            (Algorithm::Argon2id, Version::V0x13, 64, 1, 1, None),
            (Algorithm::Argon2id, Version::V0x13, 32, 3, 1, None),
            (Algorithm::Argon2id, Version::V0x13, 256, 2, 2, Some(48)),
            (Algorithm::Argon2i, Version::V0x10, 16, 1, 1, Some(24)),
        ] {
            let params = Params::new(memory, passes, lanes, length).unwrap();
            let of_library: PasswordHash =
                Argon2::new(algorithm, version, params).hash_password(b"kapal").unwrap();
            let read = PasswordHash::new(&of_library.to_string()).unwrap();
            assert!(argon.matches(b"kapal", &read), "{read}");
            assert!(!argon.matches(b"kapel", &read), "{read}");
            assert_eq!(kept().0.max(64), 64, "what is larger is kept by nobody");
        }
        let ours = argon.hash(b"kapal").unwrap();
        assert!(Argon2::default().verify_password(b"kapal", &ours).is_ok());
    }

    #[test]
    fn the_memory_is_kept_and_nothing_in_it() {
        let argon = Argon::new(64, 1).unwrap();
        for _ in 0..2 {
            argon.hash(b"kapal").unwrap();
            assert_eq!(kept(), (64, true));
        }
    }
}
