namespace Qkd.Link;

/// <summary>The classical link between the two nodes failed: connection, protocol, authentication or agreement.</summary>
public class LinkException : Exception
{
    /// <summary>Creates the exception.</summary>
    public LinkException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}

/// <summary>The peer sent something that is not of the protocol: unknown, truncated, out of order or too large.</summary>
public sealed class LinkProtocolException(string message, Exception? inner = null) : LinkException(message, inner);

/// <summary>A tag does not fit its message: an attack on the classical channel, or two nodes without the same pre-shared key.</summary>
public sealed class LinkAuthenticationException(string message, Exception? inner = null) : LinkException(message, inner);
