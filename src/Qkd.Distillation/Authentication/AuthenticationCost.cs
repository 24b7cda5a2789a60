namespace Qkd.Distillation;

/// <summary>
/// What authentication uses up of the secret key that both ends share, and the chance that it leaves a forger. Costs add up: over the tags of a block,
/// the messages tagged one by one, the blocks of a day.
/// </summary>
/// <param name="KeyBits">Bits of shared key that are used and never again.</param>
/// <param name="ForgeryProbability">Bound on the probability that any of the tags was forged, 0 to 1.</param>
public readonly record struct AuthenticationCost(long KeyBits, double ForgeryProbability)
{
    /// <summary>Bits of shared key for one tag: a hash key of its own and the pad that covers the tag.</summary>
    public const int BitsPerTag = 8 * MessageAuthentication.PadBytes;

    /// <summary>The two tags that close a block, Bob's and Alice's, whatever was said in it: 512 bits.</summary>
    public static AuthenticationCost Block => new(2 * BitsPerTag, BlockAuthentication.ForgeryProbability);

    /// <summary>A single message with a tag of its own.</summary>
    /// <param name="bytes">Its length.</param>
    public static AuthenticationCost Message(long bytes) => new(BitsPerTag, MessageAuthentication.ForgeryProbability(bytes));

    /// <summary>Both: key bits and probabilities add.</summary>
    public static AuthenticationCost Add(AuthenticationCost left, AuthenticationCost right) => left + right;

    /// <summary>Both: key bits and probabilities add.</summary>
    public static AuthenticationCost operator +(AuthenticationCost left, AuthenticationCost right) =>
        new(checked(left.KeyBits + right.KeyBits), Math.Min(1, left.ForgeryProbability + right.ForgeryProbability));
}
