namespace Qkd.Distillation;

/// <summary>
/// A block cannot go on: a message of the peer is malformed, does not fit the block, or a check failed. The block is lost; nothing of it
/// becomes key.
/// </summary>
public class DistillationException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">What was wrong. Never holds a key bit.</param>
    /// <param name="inner">The cause, if there is one.</param>
    public DistillationException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}

/// <summary>
/// The peer's tag over a block's transcript does not fit, or the transcript shows that messages were altered, reordered or delivered before
/// they were sent: an attack on the classical channel, or two ends without the same authentication key.
/// </summary>
public sealed class TranscriptRejectedException(string message) : DistillationException(message);
