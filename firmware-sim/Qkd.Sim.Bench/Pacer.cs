namespace Qkd.Sim.Bench;

/// <summary>
/// Says how far bench time may go: as far as the wall's has, less what was lost. What is more than a tenth of a second behind is lost,
/// so that a bench that had to wait does not rush on afterwards. One thread.
/// </summary>
internal sealed class Pacer(TimeProvider wall)
{
    /// <summary>The most that is caught up, in picoseconds.</summary>
    public const long CatchUpPicoseconds = 100_000_000_000;

    private const long PicosecondsPerTick = 100_000;

    private readonly long _start = wall.GetTimestamp();
    private long _lost;

    /// <summary>By how much bench time has fallen behind for good, in picoseconds. Any thread may read it.</summary>
    public long LostPicoseconds => Volatile.Read(ref _lost);

    /// <summary>How far bench time may go now, in picoseconds.</summary>
    /// <param name="now">Where it is.</param>
    public long Target(long now)
    {
        var due = (wall.GetElapsedTime(_start).Ticks * PicosecondsPerTick) - _lost;
        var tooLate = due - now - CatchUpPicoseconds;
        if (tooLate <= 0)
        {
            return due;
        }

        Volatile.Write(ref _lost, _lost + tooLate);
        return due - tooLate;
    }
}
