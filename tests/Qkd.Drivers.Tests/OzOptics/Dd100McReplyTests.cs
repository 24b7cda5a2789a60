using Qkd.Drivers.OzOptics.Dd100Mc;
using Shouldly;

namespace Qkd.Drivers.Tests.OzOptics;

public sealed class Dd100McReplyTests
{
    [Theory]
    [InlineData("DPos:1234", "ATTEN:12.50", 1234, 12.5)]
    [InlineData("DPos: 1234", "ATTEN: 12.50 (dB)", 1234, 12.5)]
    [InlineData("dpos:-3", "Atten:0dB", -3, 0.0)]
    [InlineData("DPos:+7 steps", "ATTEN:+60.00", 7, 60.0)]
    public void Reads_position_and_attenuation_whatever_stands_around_the_number(string position, string attenuation, int steps, double decibels)
    {
        var reply = new Dd100McReply([position, attenuation]);
        reply.IsDisplay.ShouldBeTrue();
        reply.PositionSteps.ShouldBe(steps);
        reply.AttenuationDecibels.ShouldBe(decibels);
        reply.MovedToSteps.ShouldBeNull();
    }

    [Theory]
    [InlineData("ATTEN:unknown")]
    [InlineData("ATTEN:")]
    [InlineData("ATTEN:--")]
    [InlineData("ATTEN:1DPos:2500")]
    public void An_attenuation_that_is_no_number_is_none(string line)
    {
        var reply = new Dd100McReply(["DPos:0", line]);
        reply.IsDisplay.ShouldBeTrue();
        reply.AttenuationDecibels.ShouldBeNull();
    }

    [Fact]
    public void A_movement_s_answer_is_no_display()
    {
        var reply = new Dd100McReply(["Pos:4711"]);
        reply.MovedToSteps.ShouldBe(4711);
        reply.IsDisplay.ShouldBeFalse();
        reply.Complaint.ShouldBeNull();
    }

    [Theory]
    [InlineData("Error-2")]
    [InlineData("Bad Command")]
    [InlineData("unknown command")]
    public void Finds_the_line_that_complains(string line) => new Dd100McReply(["Pos:1", line]).Complaint.ShouldBe(line);
}
