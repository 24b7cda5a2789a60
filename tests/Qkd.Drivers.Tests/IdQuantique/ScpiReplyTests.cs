using Qkd.Drivers.IdQuantique.Id900;
using Shouldly;

namespace Qkd.Drivers.Tests.IdQuantique;

public sealed class ScpiReplyTests
{
    [Theory]
    [InlineData("-113,\"Undefined header\"", true)]
    [InlineData("+200,\"Execution error\"", true)]
    [InlineData("+0,\"No error\"", false)]
    [InlineData("Value set to ON", false)]
    [InlineData("1,2", false)]
    [InlineData("12,", false)]
    [InlineData("", false)]
    public void Knows_an_error_by_its_form(string line, bool error) => ScpiReply.IsError(line).ShouldBe(error);

    [Theory]
    [InlineData("-0.4V", -0.4)]
    [InlineData("1 v", 1.0)]
    [InlineData("0.25", 0.25)]
    public void Reads_volts_with_and_without_unit(string line, double expected)
    {
        ScpiReply.TryNumber(line, out var volts, "V").ShouldBeTrue();
        volts.ShouldBe(expected);
    }

    [Theory]
    [InlineData("1000TB", 1000)]
    [InlineData("1000ps", 1000)]
    [InlineData("-7", -7)]
    public void Reads_times_with_and_without_unit(string line, long expected)
    {
        ScpiReply.TryWhole(line, out var value, "TB", "ps").ShouldBeTrue();
        value.ShouldBe(expected);
    }

    [Theory]
    [InlineData("")]
    [InlineData("V")]
    [InlineData("1.0.0V")]
    [InlineData("NaN")]
    [InlineData("1e999")]
    public void What_is_no_number_is_none(string line)
    {
        ScpiReply.TryNumber(line, out _, "V").ShouldBeFalse();
        ScpiReply.TryWhole(line, out _, "V").ShouldBeFalse();
    }

    [Theory]
    [InlineData("ON", true, true)]
    [InlineData("off", true, false)]
    [InlineData("1", true, true)]
    [InlineData("0", true, false)]
    [InlineData("O", false, false)]
    public void Reads_switches(string line, bool understood, bool on)
    {
        ScpiReply.TrySwitch(line, out var value).ShouldBe(understood);
        value.ShouldBe(on);
    }
}
