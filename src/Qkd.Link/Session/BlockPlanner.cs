namespace Qkd.Link.Session;

/// <summary>
/// Chooses how many frames the next block has. The number is fixed and announced before the block's first pulse is looked at, from the
/// rates of earlier blocks alone: the proof is for a number of signals fixed beforehand, not for one that stops when enough has clicked.
/// </summary>
internal sealed class BlockPlanner(LinkAgreement agreement)
{
    /// <summary>No block is longer: ten minutes at a hundred frames a second.</summary>
    public const int MaximumFrames = 60_000;

    private readonly Lock _gate = new();
    private int _frames = Math.Clamp(agreement.InitialBlockFrames, 1, MaximumFrames);

    /// <summary>Frames of the next block.</summary>
    public int FramesForNextBlock()
    {
        lock (_gate)
        {
            return _frames;
        }
    }

    /// <summary>A block of so many frames had so many key-basis bits.</summary>
    public void Learn(int frames, long keyBits)
    {
        lock (_gate)
        {
            // A dark block says little: at most ten times as long.
            var needed = keyBits == 0 ? 10.0 * frames : (double)agreement.BlockKeyBits / keyBits * frames;
            _frames = (int)Math.Clamp(Math.Round(needed), Math.Max(1, frames / 10), Math.Min(MaximumFrames, 10.0 * frames));
        }
    }
}
