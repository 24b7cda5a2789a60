namespace Qkd.Keys;

/// <summary>
/// Something about stored key went wrong. The derived types say what; no message ever holds key material.
/// </summary>
public class KeyStoreException : Exception
{
    /// <summary>Creates the exception.</summary>
    public KeyStoreException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}

/// <summary>The master key is missing, open to others, malformed, or not the one that the store was made with.</summary>
public sealed class MasterKeyException(string message, Exception? inner = null) : KeyStoreException(message, inner);

/// <summary>What is stored does not read back as it was written.</summary>
public sealed class KeyStoreDamagedException(string message, Exception? inner = null) : KeyStoreException(message, inner);

/// <summary>The authentication key is missing, damaged, does not fit the peer's, or was asked for a place it does not give.</summary>
public class AuthenticationKeyException(string message, Exception? inner = null) : KeyStoreException(message, inner);

/// <summary>No authentication key is left for what was asked.</summary>
public sealed class AuthenticationKeyExhaustedException(string message) : AuthenticationKeyException(message);

/// <summary>The peer's key store cannot be reached, or what it says cannot be understood.</summary>
public sealed class KeyPeerException(string message, Exception? inner = null) : KeyStoreException(message, inner);

/// <summary>The pool holds too little deliverable key for the request. Asking again later may help.</summary>
public sealed class PoolExhaustedException(string message) : KeyStoreException(message);

/// <summary>The key exists but must not be delivered: its grade is Laboratory and the configuration does not allow that.</summary>
public sealed class KeyRefusedException(string message) : KeyStoreException(message);

/// <summary>A request for key that cannot be met as it stands; asking again will not help.</summary>
public sealed class KeyRequestException(string message) : KeyStoreException(message);

/// <summary>The caller was not named as a recipient of the key.</summary>
public sealed class KeyAccessException(string message) : KeyStoreException(message);
