using Qkd.Devices;

namespace Qkd.Timing;

/// <summary>The pilots of the frames in question: which of their slots carry a signal, and what was sent in them.</summary>
internal sealed class PilotTable(int pilotSlots, int vacuumIntensity)
{
    private const int Kept = 512;

    private readonly Dictionary<long, ulong[]> _packed = [];

    /// <summary>The pilot of a frame in the packed layout.</summary>
    public ReadOnlySpan<ulong> Of(long frame)
    {
        if (!_packed.TryGetValue(frame, out var words))
        {
            if (_packed.Count >= Kept)
            {
                _packed.Clear();
            }

            words = new ulong[PackedSymbols.WordCount(pilotSlots)];
            Pilot.Fill(frame, vacuumIntensity, words);
            _packed[frame] = words;
        }

        return words;
    }

    /// <summary>Whether a pilot slot carries a signal pulse.</summary>
    public static bool IsSignal(ReadOnlySpan<ulong> packed, int slot)
    {
        var group = slot / PackedSymbols.SlotsPerGroup * PackedSymbols.WordsPerGroup;
        return ((packed[group + 2] | packed[group + 3]) >> (slot % PackedSymbols.SlotsPerGroup) & 1) == 0;
    }
}
