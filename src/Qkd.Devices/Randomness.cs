using System.Security.Cryptography;

namespace Qkd.Devices;

/// <summary>
/// Random numbers that must be secret and never repeat. A type apart from every repeatable generator, so that one can never be
/// taken for the other.
/// </summary>
public interface ISecretRandomness
{
    /// <summary>Where the numbers come from, for the record of a key's grade, e.g. <c>operating system</c>.</summary>
    string Origin { get; }

    /// <summary>Fills the span with uniformly random bytes. Thread-safe.</summary>
    void Fill(Span<byte> destination);
}

/// <summary>The operating system's generator: computationally secure, and recorded as such.</summary>
public sealed class OperatingSystemRandomness : ISecretRandomness
{
    /// <summary>The one instance.</summary>
    public static OperatingSystemRandomness Instance { get; } = new();

    private OperatingSystemRandomness()
    {
    }

    /// <inheritdoc/>
    public string Origin => "operating system";

    /// <inheritdoc/>
    public void Fill(Span<byte> destination) => RandomNumberGenerator.Fill(destination);
}
