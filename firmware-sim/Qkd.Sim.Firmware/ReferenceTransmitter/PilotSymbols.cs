namespace Qkd.Sim.Firmware.ReferenceTransmitter;

/// <summary>The public pilot at the head of each frame, as the protocol's page defines it.</summary>
internal static class PilotSymbols
{
    /// <summary>Writes one group of 64 slots: bits, bases, low and high bit of the intensity index.</summary>
    public static void Fill(long frame, int group, int weakestIntensity, Span<ulong> words)
    {
        var key = Mix((ulong)frame) + (4 * (ulong)group);
        var weakest = ~Mix(key + 2);
        words[0] = Mix(key);
        words[1] = Mix(key + 1);
        words[2] = (weakestIntensity & 1) != 0 ? weakest : 0;
        words[3] = (weakestIntensity & 2) != 0 ? weakest : 0;
    }

    private static ulong Mix(ulong x)
    {
        unchecked
        {
            x += 0x9E3779B97F4A7C15;
            x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
            x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
            return x ^ (x >> 31);
        }
    }
}
